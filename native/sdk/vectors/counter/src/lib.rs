//! The calculator of conversations.json.

use millrace_calculator::{Calculator, Context, Failure, Format, Value, export};

struct Counter {
    total: f64,
}

impl Calculator for Counter {
    const IS_STATEFUL: bool = true;

    fn new(config: &Value) -> Result<Self, Failure> {
        Ok(Self { total: config.get("base").as_f64().ok_or("a counter needs a base")? })
    }

    fn calculate(&mut self, row: &Value, context: &Context) -> Result<Value, Failure> {
        Ok(match row.get("do").as_str() {
            Some("add") => {
                self.total += row.get("n").as_f64().unwrap_or(0.0);
                self.snapshot()
            }
            Some("many") => Value::List((0..row.get("n").as_i64().unwrap_or(0)).map(Value::from).collect()),
            Some("fill") => "x".repeat(row.get("n").as_i64().unwrap_or(0) as usize).into(),
            Some("where") => {
                Value::map([("at", context.at.into()), ("graph", context.graph.into()), ("node", context.node.into())])
            }
            Some("open") => {
                let payload = context.open(row.get("payload"))?;
                let sum: i64 = payload.bytes().iter().map(|byte| i64::from(*byte)).sum();
                let length = payload.bytes().len() as i64;
                Value::map([("format", payload.format().name().into()), ("length", length.into()), ("sum", sum.into())])
            }
            Some("make") => {
                let text = row.get("text").as_str().unwrap_or_default();
                Value::map([("made", Value::payload(text, Format::Npy))])
            }
            Some("fail") => {
                self.total = -1.0;
                panic!("asked to fail")
            }
            _ => Value::Nil,
        })
    }

    fn details(&self) -> Value {
        Value::map([("what", "a counter".into())])
    }

    fn snapshot(&self) -> Value {
        Value::map([("total", self.total.into())])
    }

    fn restore(&mut self, state: &Value) -> Result<(), Failure> {
        self.total = state.get("total").as_f64().ok_or("a state has a total")?;
        Ok(())
    }
}

export!(Counter);
