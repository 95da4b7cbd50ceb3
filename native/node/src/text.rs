use millrace_text_columns::{Arrays, CellType, CsvRecords, JsonRecords, Output, Run};
use napi::bindgen_prelude::{BigUint64ArraySlice, Uint8ArraySlice, Uint16ArraySlice, Uint32ArraySlice};
use napi::{Error, Result, Status};
use napi_derive::napi;

fn refused(message: impl ToString) -> Error {
    Error::new(Status::InvalidArg, message.to_string())
}

/// Arrays of one call, which no JS sees while it lasts.
#[napi(object, object_to_js = false)]
pub struct TextCells<'env> {
    pub kinds: Uint8ArraySlice<'env>,
    pub bits: BigUint64ArraySlice<'env>,
    pub ends: Uint32ArraySlice<'env>,
    pub fresh: Uint32ArraySlice<'env>,
    pub seen: Uint8ArraySlice<'env>,
    pub latin: Uint8ArraySlice<'env>,
    pub wide: Uint16ArraySlice<'env>,
    /// Rows added, next byte, new texts, 1 if the next record is refused.
    pub run: Uint32ArraySlice<'env>,
}

impl TextCells<'_> {
    fn fill(
        &mut self,
        fields: usize,
        bytes: &[u8],
        rows: std::ops::Range<u32>,
        read: impl FnOnce(&mut Output<'_>) -> Run,
    ) -> Result<()> {
        let rows = rows.start as usize..rows.end as usize;
        // SAFETY: the caller hands over no overlapping arrays, and no JS runs during the call.
        let (arrays, run) = unsafe {
            let (kinds, slots, ends) = (self.kinds.as_mut(), self.bits.as_mut(), self.ends.as_mut());
            let (fresh, seen) = (self.fresh.as_mut(), self.seen.as_mut());
            let (latin, wide) = (self.latin.as_mut(), self.wide.as_mut());
            (Arrays { kinds, slots, ends, fresh, seen, latin, wide }, self.run.as_mut())
        };
        let run: &mut [u32; 4] = run.try_into().map_err(|_| refused("a run has 4 numbers"))?;
        let mut output = Output::new(fields, arrays, rows, bytes.len()).map_err(refused)?;
        let Run { rows, next, fresh, is_refused } = read(&mut output);
        *run = [rows as u32, next as u32, fresh as u32, u32::from(is_refused)];
        Ok(())
    }
}

/// The bytes that are to be read; 32-bit indices must reach all of them.
fn unread(bytes: &[u8], from: u32) -> Result<&[u8]> {
    let fits = bytes.len() <= u32::MAX as usize;
    bytes.get(from as usize..).filter(|_| fits).ok_or_else(|| refused("the run does not begin within the bytes"))
}

#[napi(js_name = "CsvRecords")]
pub struct NativeCsvRecords(CsvRecords);

#[napi]
impl NativeCsvRecords {
    /// Types by number: any, text, number, boolean.
    #[napi(constructor)]
    pub fn new(delimiter: u8, types: Uint8ArraySlice, record_bytes_max: u32) -> Result<Self> {
        let type_of = |number: &u8| match number {
            0 => Ok(CellType::Any),
            1 => Ok(CellType::Text),
            2 => Ok(CellType::Number),
            3 => Ok(CellType::Boolean),
            _ => Err(refused("no such type of a cell")),
        };
        let types = types.iter().map(type_of).collect::<Result<Vec<_>>>()?;
        let records = CsvRecords::new(delimiter, types, record_bytes_max as usize);
        records.map(Self).ok_or_else(|| refused("cells cannot be delimited by this"))
    }

    #[napi]
    pub fn read(
        &mut self,
        bytes: Uint8ArraySlice,
        from: u32,
        mut cells: TextCells,
        row: u32,
        rows_max: u32,
    ) -> Result<()> {
        let rest = unread(&bytes, from)?;
        cells.fill(self.0.fields(), rest, row..rows_max, |output| self.0.read(&bytes, from as usize, output))
    }

    #[napi]
    pub fn list_texts(&mut self, field: u32, is_listed: bool) {
        self.0.list_texts(field as usize, is_listed);
    }
}

#[napi(js_name = "JsonRecords")]
pub struct NativeJsonRecords(JsonRecords);

#[napi]
impl NativeJsonRecords {
    #[napi(constructor)]
    pub fn new(names: Vec<String>, record_bytes_max: u32) -> Self {
        Self(JsonRecords::new(&names, record_bytes_max as usize))
    }

    #[napi]
    pub fn read(
        &mut self,
        bytes: Uint8ArraySlice,
        from: u32,
        mut cells: TextCells,
        row: u32,
        rows_max: u32,
    ) -> Result<()> {
        let rest = unread(&bytes, from)?;
        cells.fill(self.0.fields(), rest, row..rows_max, |output| self.0.read(&bytes, from as usize, output))
    }

    #[napi]
    pub fn list_texts(&mut self, field: u32, is_listed: bool) {
        self.0.list_texts(field as usize, is_listed);
    }
}
