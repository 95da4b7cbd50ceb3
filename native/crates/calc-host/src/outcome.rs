//! What a calculator answered, checked without being decoded: it came over no border that could have checked it before.

use millrace_calculator::Value;
use millrace_calculator::msgpack::{DEPTH_MAX, Item, NotMsgpack, Reader, pack};
use std::borrow::Cow;

const WHOLE_MAX: u64 = 1 << 53;
const CODES: [&str; 3] = ["CALC-THREW", "CALC-RESULT", "CALC-OOM"];

/// A row's outcome as the wire has it: nil, a list of messages, or a failure.
pub struct Outcome<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub is_failure: bool,
}

/// The outcomes of `rows` rows; a stateful calculator may end at one that failed. An error says why they are none at all.
pub fn outcomes(answer: &[u8], rows: usize, is_stateful: bool) -> Result<Vec<Outcome<'_>>, String> {
    let mut reader = Reader::new(answer);
    let Ok(Item::List(n)) = reader.item() else { return Err("the answer to a batch is no list".to_owned()) };
    let found = (0..n)
        .map(|_| outcome(&mut reader))
        .collect::<Result<Vec<_>, NotMsgpack>>()
        .map_err(|_| "the answer to a batch is not msgpack".to_owned())?;
    let ends_early = is_stateful && n < rows && found.last().is_some_and(|last| last.is_failure);
    if n == rows || ends_early { Ok(found) } else { Err(format!("{n} outcomes for {rows} rows")) }
}

fn outcome<'a>(reader: &mut Reader<'a>) -> Result<Outcome<'a>, NotMsgpack> {
    let mut inside = *reader;
    let bytes = reader.skip()?;
    let why = match inside.item()? {
        Item::Nil => None,
        Item::List(n) => (0..n).find_map(|i| not_json(&mut inside, &format!("/{i}"), false, 0).err()),
        Item::Map(_) => return Ok(Outcome { bytes: failure(bytes)?, is_failure: true }),
        _ => Some("an outcome that is neither nil, nor a list, nor a failure at its root".to_owned()),
    };
    Ok(match why {
        None => Outcome { bytes: Cow::Borrowed(bytes), is_failure: false },
        Some(why) => {
            Outcome { bytes: Cow::Owned(not_a_result(&format!("the result is not JSON: {why}"))), is_failure: true }
        }
    })
}

/// A row's failure with `CALC-RESULT`.
pub fn not_a_result(why: &str) -> Vec<u8> {
    pack(&Value::map([("code", "CALC-RESULT".into()), ("msg", why.into())]))
}

/// A row's failure with what its library said of it.
pub fn threw(why: &str) -> Vec<u8> {
    pack(&Value::map([("code", "CALC-THREW".into()), ("msg", why.into())]))
}

fn failure(bytes: &[u8]) -> Result<Cow<'_, [u8]>, NotMsgpack> {
    let value = Reader::new(bytes).value()?;
    let is_known = value.get("code").as_str().is_some_and(|code| CODES.contains(&code));
    if is_known && value.get("msg").as_str().is_some() {
        return Ok(Cow::Borrowed(bytes));
    }
    Ok(Cow::Owned(not_a_result("an outcome that is a map needs a code of a failure and a msg")))
}

/// Why the next value is no JSON, with its path. Bytes are allowed in states.
pub fn not_json(reader: &mut Reader, path: &str, allows_bytes: bool, depth: usize) -> Result<(), String> {
    let at = |what: &str| Err(format!("{what} at {}", if path.is_empty() { "its root" } else { path }));
    let item = reader.item().map_err(|error| error.to_string())?;
    if depth > DEPTH_MAX {
        return at("a value nested too deeply");
    }
    match item {
        Item::Bytes(_) if !allows_bytes => at("bytes"),
        Item::Int(n) if n.unsigned_abs() > WHOLE_MAX => at("an integer beyond 2^53"),
        Item::Large(_) => at("an integer beyond 2^53"),
        Item::List(n) => (0..n).try_for_each(|i| not_json(reader, &format!("{path}/{i}"), allows_bytes, depth + 1)),
        Item::Map(n) => (0..n).try_for_each(|_| {
            let Ok(Item::Text(name)) = reader.item() else { return at("a key that is no text") };
            not_json(reader, &format!("{path}/{name}"), allows_bytes, depth + 1)
        }),
        _ => Ok(()),
    }
}
