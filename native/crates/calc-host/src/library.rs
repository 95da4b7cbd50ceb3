use crate::payloads::Payloads;
use libc::{RTLD_LOCAL, RTLD_NOW, dlerror, dlopen, dlsym};
use millrace_calculator::abi::{
    ABI_VERSION, AbiVersion, Batch, Close, Describe, Host, LastError, OK, Open, Out, Restore, Snapshot, View,
};
use millrace_calculator::{Value, msgpack};
use std::ffi::{CStr, CString, c_void};
use std::mem::transmute_copy;
use std::ptr;

/// Where a calculator comes from and where it runs.
pub struct Origin<'a> {
    /// Absolute path of the library.
    pub file: &'a str,
    /// As msgpack.
    pub config: &'a [u8],
    pub graph: &'a str,
    pub node: &'a str,
}

/// The functions of one library. It stays loaded: threads and thread-locals of its own may outlive a calculator.
struct Library {
    open: Open,
    describe: Describe,
    batch: Batch,
    snapshot: Option<Snapshot>,
    restore: Option<Restore>,
    close: Close,
    last_error: LastError,
}

impl Library {
    fn load(file: &str) -> Result<Self, String> {
        let path = c_text(file);
        // SAFETY: running the library's constructors is what its user asked for.
        let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW | RTLD_LOCAL) };
        if handle.is_null() {
            // SAFETY: dlopen has just failed on this thread, so there is a text.
            return Err(unsafe { CStr::from_ptr(dlerror()) }.to_string_lossy().into_owned());
        }
        let version: AbiVersion = required(handle, c"ab_abi_version")?;
        // SAFETY: every version of the interface has this function as it is.
        let version = unsafe { version() };
        if version != ABI_VERSION {
            return Err(format!("it is made for version {version} of millrace_calculator.h, this is {ABI_VERSION}"));
        }
        Ok(Self {
            open: required(handle, c"ab_open")?,
            describe: required(handle, c"ab_describe")?,
            batch: required(handle, c"ab_batch")?,
            snapshot: symbol(handle, c"ab_snapshot"),
            restore: symbol(handle, c"ab_restore"),
            close: required(handle, c"ab_close")?,
            last_error: required(handle, c"ab_last_error")?,
        })
    }

    fn last_error(&self) -> String {
        // SAFETY: a text of the library's that lasts until its next call on this thread.
        let text = unsafe { (self.last_error)() };
        let text = if text.is_null() { c"" } else { unsafe { CStr::from_ptr(text) } };
        if text.is_empty() { "it does not say why".to_owned() } else { text.to_string_lossy().into_owned() }
    }
}

fn symbol<F: Copy>(handle: *mut c_void, name: &CStr) -> Option<F> {
    // SAFETY: the handle is open.
    let address = unsafe { dlsym(handle, name.as_ptr()) };
    // SAFETY: the version that the library answers promises these types under these names.
    (!address.is_null()).then(|| unsafe { transmute_copy(&address) })
}

fn required<F: Copy>(handle: *mut c_void, name: &CStr) -> Result<F, String> {
    symbol(handle, name).ok_or_else(|| format!("it is no calculator: it has no {}", name.to_string_lossy()))
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// One instance of a calculator. Whatever its code does it does to this process.
pub struct LoadedCalculator {
    library: Library,
    config: Vec<u8>,
    graph: CString,
    node: CString,
    payloads: Payloads,
    state: *mut c_void,
}

impl LoadedCalculator {
    pub fn open(origin: &Origin) -> Result<Self, String> {
        let library = Library::load(origin.file)?;
        let (graph, node) = (c_text(origin.graph), c_text(origin.node));
        let mut loaded = Self {
            library,
            config: origin.config.to_vec(),
            graph,
            node,
            payloads: Payloads::default(),
            state: ptr::null_mut(),
        };
        loaded.begin()?;
        Ok(loaded)
    }

    /// A new instance in the place of the one there may be.
    fn begin(&mut self) -> Result<(), String> {
        self.end();
        let host = Host {
            struct_size: size_of::<Host>() as u32,
            reserved: 0,
            graph: self.graph.as_ptr(),
            node: self.node.as_ptr(),
            payloads: self.payloads.table(),
        };
        let config = View::of(&self.config, 0.0);
        // SAFETY: as the header says; the texts and the table live as long as the instance.
        let status = unsafe { (self.library.open)(&config, &host, &mut self.state) };
        if status == OK { Ok(()) } else { Err(self.library.last_error()) }
    }

    fn end(&mut self) {
        let state = std::mem::replace(&mut self.state, ptr::null_mut());
        if !state.is_null() {
            // SAFETY: `ab_open` made it, and it is not used any more.
            unsafe { (self.library.close)(state) };
        }
    }

    /// `stateful` and `details`, as the calculator says.
    pub fn about(&mut self) -> Result<Value, String> {
        let mut out = Out::empty();
        // SAFETY: as the header says.
        let status = unsafe { (self.library.describe)(self.state, &mut out) };
        let about = msgpack::unpack(self.answer(status, &out)?).map_err(|error| format!("ab_describe: {error}"))?;
        let is_stateful = about.get("stateful").as_bool() == Some(true);
        if is_stateful && (self.library.snapshot.is_none() || self.library.restore.is_none()) {
            return Err("it says that it keeps state, and has no ab_snapshot or no ab_restore".to_owned());
        }
        Ok(about)
    }

    /// Outcomes of a list of rows, unchecked. An error is one of the whole batch. `places`: of payloads that the rows name, as
    /// the protocol has them; none where no reference can be opened. They are not used any more when this returns.
    pub fn batch(&mut self, rows: &[u8], at_ms: f64, places: Option<&[u8]>) -> Result<&[u8], String> {
        let (rows, mut out) = (View::of(rows, at_ms), Out::empty());
        self.payloads.begin(places)?;
        // SAFETY: as the header says.
        let status = unsafe { (self.library.batch)(self.state, &rows, &mut out) };
        self.payloads.end();
        self.answer(status, &out)
    }

    /// Payloads that were opened since it was last asked. None was copied.
    pub fn take_opens(&self) -> u64 {
        self.payloads.take_opens()
    }

    pub fn snapshot(&mut self) -> Result<&[u8], String> {
        let mut out = Out::empty();
        let snapshot = self.library.snapshot.ok_or("it has no ab_snapshot")?;
        // SAFETY: as the header says.
        let status = unsafe { snapshot(self.state, &mut out) };
        self.answer(status, &out)
    }

    /// A new instance; with a state that another one had.
    pub fn restore(&mut self, state: Option<&[u8]>) -> Result<(), String> {
        self.begin()?;
        let Some(state) = state else { return Ok(()) };
        let restore = self.library.restore.ok_or("it has no ab_restore")?;
        // SAFETY: as the header says.
        let status = unsafe { restore(self.state, &View::of(state, 0.0)) };
        if status == OK { Ok(()) } else { Err(self.library.last_error()) }
    }

    fn answer(&self, status: i32, out: &Out) -> Result<&[u8], String> {
        if status != OK {
            return Err(self.library.last_error());
        }
        if out.bytes.is_null() {
            return Ok(&[]);
        }
        // SAFETY: the calculator's memory, unchanged until its next call, for which `self` is borrowed.
        Ok(unsafe { std::slice::from_raw_parts(out.bytes, out.length) })
    }
}

impl Drop for LoadedCalculator {
    fn drop(&mut self) {
        self.end();
    }
}
