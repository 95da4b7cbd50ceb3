use millrace_window_groups::{CellSpec, Fold, Frame, Input, Refused, Values, WindowGroups};
use napi::bindgen_prelude::{Either, Float64ArraySlice, Int32ArraySlice, Uint8ArraySlice, Uint32ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn refused(error: Refused) -> Error {
    Error::new(Status::InvalidArg, error.to_string())
}

fn input<'a>(values: &'a Either<Float64ArraySlice, Int32ArraySlice>, nulls: &'a Option<Uint8ArraySlice>) -> Input<'a> {
    let values = match values {
        Either::A(doubles) => Values::Doubles(doubles),
        Either::B(ints) => Values::Ints(ints),
    };
    Input { values, nulls: nulls.as_deref() }
}

#[napi(js_name = "WindowGroups")]
pub struct NativeWindowGroups(WindowGroups);

#[napi]
impl NativeWindowGroups {
    /// Two numbers a cell: its fold (messages, nulls, sum, min, max) and the input that it reads.
    #[napi(constructor)]
    pub fn new(size_ms: f64, cells: Uint32ArraySlice) -> Result<Self> {
        let fold_of = |number: u32| match number {
            0 => Ok(Fold::Messages),
            1 => Ok(Fold::Nulls),
            2 => Ok(Fold::Sum),
            3 => Ok(Fold::Min),
            4 => Ok(Fold::Max),
            _ => Err(refused(Refused("no such fold"))),
        };
        let spec = |cell: &[u32]| Ok(CellSpec { fold: fold_of(cell[0])?, input: cell[1] as usize });
        let specs = cells.chunks_exact(2).map(spec).collect::<Result<Vec<_>>>()?;
        WindowGroups::new(size_ms, specs).map(Self).map_err(refused)
    }

    #[napi]
    pub fn accumulate(
        &mut self,
        at: Option<Uint32ArraySlice>,
        times: Float64ArraySlice,
        keys: Uint32ArraySlice,
        key_count: u32,
        values: Vec<Either<Float64ArraySlice, Int32ArraySlice>>,
        nulls: Vec<Option<Uint8ArraySlice>>,
    ) -> Result<()> {
        let inputs: Vec<Input<'_>> = values.iter().zip(&nulls).map(|(values, nulls)| input(values, nulls)).collect();
        let frame = Frame { at: at.as_deref(), times: &times, keys: &keys, key_count, inputs: &inputs };
        self.0.accumulate(&frame).map_err(refused)
    }

    #[napi]
    pub fn end(&mut self, limit: f64) -> u32 {
        self.0.end(limit) as u32
    }

    #[napi]
    pub fn first_due(&self) -> f64 {
        self.0.first_due()
    }

    #[napi]
    pub fn take(&mut self, most: u32) -> u32 {
        self.0.take(most as usize) as u32
    }

    #[napi]
    pub fn changed(&mut self) -> u32 {
        self.0.changed() as u32
    }

    #[napi]
    pub fn all(&mut self) -> u32 {
        self.0.all() as u32
    }

    #[napi]
    pub fn next_start(&self, from: f64) -> f64 {
        self.0.next_start(from)
    }

    #[napi]
    pub fn combine(&mut self, from: f64, to: f64) -> u32 {
        self.0.combine(from, to) as u32
    }

    #[napi]
    pub fn read(
        &self,
        mut starts: Float64ArraySlice,
        mut keys: Uint32ArraySlice,
        mut cells: Float64ArraySlice,
    ) -> Result<()> {
        // SAFETY: the caller hands over no overlapping arrays, and no JS runs during the call.
        let (starts, keys, cells) = unsafe { (starts.as_mut(), keys.as_mut(), cells.as_mut()) };
        self.0.read(starts, keys, cells).map_err(refused)
    }

    #[napi]
    pub fn seal(&mut self) -> u32 {
        self.0.seal();
        self.0.len() as u32
    }

    #[napi]
    pub fn discard(&mut self) {
        self.0.discard();
    }

    #[napi]
    pub fn write(
        &mut self,
        starts: Float64ArraySlice,
        keys: Uint32ArraySlice,
        key_count: u32,
        cells: Float64ArraySlice,
    ) -> Result<()> {
        self.0.write(&starts, &keys, key_count, &cells).map_err(refused)
    }

    #[napi]
    pub fn renumber(&mut self, numbers: Uint32ArraySlice) -> Result<()> {
        self.0.renumber(&numbers).map_err(refused)
    }
}
