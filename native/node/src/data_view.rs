use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{Result, ValueType, check_status, sys};
use std::{ptr, slice};

/// The bytes of a JS DataView, for the time of one call.
pub struct DataViewBytes<'a>(pub &'a [u8]);

impl TypeName for DataViewBytes<'_> {
    fn type_name() -> &'static str {
        "DataView"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ValidateNapiValue for DataViewBytes<'_> {}

impl FromNapiValue for DataViewBytes<'_> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut length = 0;
        let mut data = ptr::null_mut();
        // SAFETY: `env` and `value` belong to the running call; the unwanted results may be null.
        let status = unsafe {
            sys::napi_get_dataview_info(env, value, &mut length, &mut data, ptr::null_mut(), ptr::null_mut())
        };
        check_status!(status, "expected a DataView")?;
        if length == 0 {
            return Ok(Self(&[]));
        }
        // SAFETY: the engine vouches for `length` bytes at `data` while the call runs, and nothing runs beside it.
        Ok(Self(unsafe { slice::from_raw_parts(data.cast(), length) }))
    }
}
