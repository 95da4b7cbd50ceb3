//! The golden vectors that every SDK is held to (sdk/vectors/frames.json).

use millrace_calculator::Value;
use millrace_calculator::msgpack::{pack, unpack};
use millrace_calculator_host::frame::{FrameReader, encode};
use serde_json::Value as Json;

fn vectors(kind: &str) -> Vec<(String, Vec<u8>, Json)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/vectors/frames.json");
    let all: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let found: Vec<_> = all[kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let hex = one["hex"].as_str().unwrap();
            let bytes = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            (one["name"].as_str().unwrap().to_owned(), bytes, one["value"].clone())
        })
        .collect();
    assert!(!found.is_empty());
    found
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value_of).collect()),
        Json::Object(fields) => match fields.get("$bytes") {
            Some(hex) => {
                let hex = hex.as_str().unwrap();
                let bytes: Vec<u8> =
                    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
                Value::Bytes(bytes)
            }
            None => Value::Map(fields.iter().map(|(name, field)| (name.clone(), value_of(field))).collect()),
        },
    }
}

/// JSON has one kind of number, and its maps no order.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| same(a, other.get(name))) && b.len() == a.len()
        }
        _ => one == other || (one.as_f64().is_some() && one.as_f64() == other.as_f64()),
    }
}

#[test]
fn frames_are_the_same_bytes() {
    for (name, bytes, _) in vectors("frames") {
        let mut reader = FrameReader::default();
        for byte in &bytes[..bytes.len() - 1] {
            reader.feed(&[*byte]);
            assert!(reader.take().unwrap().is_none(), "{name}");
        }
        reader.feed(&bytes[bytes.len() - 1..]);
        let frame = reader.take().unwrap().unwrap();
        assert_eq!(encode(frame.is, &pack(&unpack(&frame.body).unwrap())), bytes, "{name}");
    }
}

#[test]
fn values_are_written_shortest() {
    for (name, bytes, value) in vectors("values") {
        let read = unpack(&bytes).unwrap();
        assert!(same(&read, &value_of(&value)), "{name}: {read:?}");
        assert_eq!(pack(&read), bytes, "{name}");
    }
}

#[test]
fn values_may_be_written_in_longer_forms() {
    for (name, bytes, value) in vectors("read") {
        let read = unpack(&bytes).unwrap();
        assert!(same(&read, &value_of(&value)), "{name}: {read:?}");
    }
}

#[test]
fn what_is_no_frame_is_refused() {
    for (name, bytes, _) in vectors("refused") {
        let mut reader = FrameReader::default();
        reader.feed(&bytes);
        assert!(reader.take().is_err(), "{name}");
    }
}
