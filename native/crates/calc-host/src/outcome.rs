//! What a calculator answered, checked without being decoded: it came over no border that could have checked it before.

use millrace_calculator::msgpack::{DEPTH_MAX, Item, NotMsgpack, Reader, pack};
use millrace_calculator::{Format, Value};
use std::borrow::Cow;

const WHOLE_MAX: u64 = 1 << 53;
const CODES: [&str; 6] =
    ["CALC-THREW", "CALC-RESULT", "CALC-OOM", "PAYLOAD-VALUE", "PAYLOAD-MISSING", "PAYLOAD-UNREACHABLE"];
const PAYLOAD_KEY: &str = "$payload";

/// A row's outcome as the wire has it: nil, a list of messages, or a failure.
pub struct Outcome<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub is_failure: bool,
    /// Some message has a payload with its bytes in it.
    pub has_drafts: bool,
}

/// Where bytes may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    InStates,
    /// In `{"$payload": {"format", "bytes"}}` only.
    InPayloads,
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
    let mut has_drafts = false;
    let checked = match inside.item()? {
        Item::Nil => Ok(()),
        Item::List(n) => (0..n).try_for_each(|i| {
            has_drafts |= check_json(&mut inside, &format!("/{i}"), Bytes::InPayloads, 0)?;
            Ok(())
        }),
        Item::Map(_) => return Ok(Outcome { bytes: failure(bytes)?, is_failure: true, has_drafts: false }),
        _ => Err("an outcome that is neither nil, nor a list, nor a failure at its root".to_owned()),
    };
    Ok(match checked {
        Ok(()) => Outcome { bytes: Cow::Borrowed(bytes), is_failure: false, has_drafts },
        Err(why) => {
            let bytes = Cow::Owned(not_a_result(&format!("the result is not JSON: {why}")));
            Outcome { bytes, is_failure: true, has_drafts: false }
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

/// Passes the next value; whether there are payloads with their bytes in it. An error says why it is no JSON, with the path.
pub fn check_json(reader: &mut Reader, path: &str, bytes: Bytes, depth: usize) -> Result<bool, String> {
    let at = |what: &str| Err(format!("{what} at {}", if path.is_empty() { "its root" } else { path }));
    let before = *reader;
    let item = reader.item().map_err(|error| error.to_string())?;
    if depth > DEPTH_MAX {
        return at("a value nested too deeply");
    }
    let mut has_drafts = false;
    match item {
        Item::Bytes(_) if bytes == Bytes::InPayloads => return at("bytes"),
        Item::Int(n) if n.unsigned_abs() > WHOLE_MAX => return at("an integer beyond 2^53"),
        Item::Large(_) => return at("an integer beyond 2^53"),
        Item::List(n) => {
            for i in 0..n {
                has_drafts |= check_json(reader, &format!("{path}/{i}"), bytes, depth + 1)?;
            }
        }
        Item::Map(n) => {
            if bytes == Bytes::InPayloads && is_draft(before) {
                *reader = before;
                return reader.skip().map(|_| true).map_err(|error| error.to_string());
            }
            for _ in 0..n {
                let Ok(Item::Text(name)) = reader.item() else { return at("a key that is no text") };
                has_drafts |= check_json(reader, &format!("{path}/{name}"), bytes, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(has_drafts)
}

/// Whether a value is `{"$payload": {"format", "bytes"}}`, with a format that there is.
fn is_draft(mut reader: Reader) -> bool {
    let is_payload = matches!(reader.item(), Ok(Item::Map(1))) && matches!(reader.item(), Ok(Item::Text(PAYLOAD_KEY)));
    if !is_payload || !matches!(reader.item(), Ok(Item::Map(2))) {
        return false;
    }
    let (mut has_format, mut has_bytes) = (false, false);
    for _ in 0..2 {
        match (reader.item(), reader.item()) {
            (Ok(Item::Text("format")), Ok(Item::Text(name))) => has_format = Format::named(name).is_some(),
            (Ok(Item::Text("bytes")), Ok(Item::Bytes(_))) => has_bytes = true,
            _ => return false,
        }
    }
    has_format && has_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_of(message: Value) -> (bool, bool, Value) {
        let answer = pack(&Value::List(vec![Value::List(vec![message])]));
        let found = outcomes(&answer, 1, false).unwrap();
        let Outcome { bytes, is_failure, has_drafts } = &found[0];
        (*is_failure, *has_drafts, Reader::new(bytes).value().unwrap())
    }

    #[test]
    fn bytes_pass_as_payloads_of_a_known_format_only() {
        let draft = Value::payload([1, 2], Format::Npy);
        let (is_failure, has_drafts, passed) = outcome_of(Value::map([("frame", draft.clone())]));
        assert_eq!((is_failure, has_drafts), (false, true));
        assert_eq!(passed.as_list().unwrap()[0].get("frame"), &draft);
        assert!(!outcome_of(Value::map([("n", 1_i64.into())])).1);
        let body = Value::map([("format", "png".into()), ("bytes", vec![1_u8].into())]);
        for bad in [Value::Bytes(vec![1]), Value::map([("$payload", body)])] {
            let (is_failure, _, failure) = outcome_of(Value::map([("frame", bad)]));
            assert!(is_failure);
            assert_eq!(failure.get("code").as_str(), Some("CALC-RESULT"));
            assert!(failure.get("msg").as_str().unwrap().contains("bytes at /0/frame"), "{failure:?}");
        }
    }

    #[test]
    fn a_failure_keeps_the_code_of_a_payload() {
        let failure = Value::map([("code", "PAYLOAD-VALUE".into()), ("msg", "no".into())]);
        let answer = pack(&Value::List(vec![failure.clone()]));
        let found = outcomes(&answer, 1, false).unwrap();
        assert_eq!(Reader::new(&found[0].bytes).value().unwrap(), failure);
    }
}
