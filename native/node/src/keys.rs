use std::num::NonZeroU32;

use millrace_keys::{Refused, place_utf8, place_utf16};
use napi::bindgen_prelude::{Int32ArraySlice, Uint32ArraySlice};
use napi::{Env, Error, JsString, JsValue, Result, Status, check_status, sys};
use napi_derive::napi;

fn refused(Refused(reason): Refused) -> Error {
    Error::new(Status::InvalidArg, reason)
}

/// Of the first `n` keys of `text`, written from `at` on.
#[napi]
pub fn place_keys(
    env: &Env,
    text: JsString,
    ends: Uint32ArraySlice,
    n: u32,
    partitions: u32,
    mut into: Int32ArraySlice,
    at: u32,
) -> Result<()> {
    let partitions = NonZeroU32::new(partitions).ok_or_else(|| refused(Refused("a topic has partitions")))?;
    let ends = ends.get(..n as usize).ok_or_else(|| refused(Refused("every key has an end")))?;
    // SAFETY: the caller hands over no overlapping arrays, and no JS runs during the call.
    let into = unsafe { into.as_mut() }.get_mut(at as usize..);
    let into = into.ok_or_else(|| refused(Refused("there is room for the partition of every key")))?;
    let units = text.utf16_len()?;
    let is_placed = place_utf8(&utf8(env, &text, units)?, ends, partitions, into).map_err(refused)?;
    if is_placed { Ok(()) } else { place_utf16(&utf16(env, &text, units)?, ends, partitions, into).map_err(refused) }
}

fn utf8(env: &Env, text: &JsString, units: usize) -> Result<Vec<u8>> {
    // With room for the longest that it may be it is not measured first.
    let mut bytes = Vec::<u8>::with_capacity(3 * units + 1);
    let mut length = 0;
    // SAFETY: the call writes up to the capacity, a 0 among it that it does not count, and says how much.
    unsafe {
        let (room, place) = (bytes.capacity(), bytes.as_mut_ptr());
        check_status!(sys::napi_get_value_string_utf8(env.raw(), text.raw(), place.cast(), room, &mut length))?;
        bytes.set_len(length);
    }
    Ok(bytes)
}

/// The same in the form that keeps apart what is half a character.
fn utf16(env: &Env, text: &JsString, units: usize) -> Result<Vec<u16>> {
    let mut wide = Vec::<u16>::with_capacity(units + 1);
    let mut length = 0;
    // SAFETY: as above.
    unsafe {
        let (room, place) = (wide.capacity(), wide.as_mut_ptr());
        check_status!(sys::napi_get_value_string_utf16(env.raw(), text.raw(), place, room, &mut length))?;
        wide.set_len(length);
    }
    Ok(wide)
}
