//! The energy of a signal, and how often it crosses the mean that the node before found: over its samples in place.

use millrace_calculator::{Calculator, Context, Failure, Value, export};

struct Energy;

impl Calculator for Energy {
    fn new(_: &Value) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn calculate(&mut self, row: &Value, context: &Context) -> Result<Value, Failure> {
        let mean = row
            .get("mean")
            .as_f64()
            .ok_or("a row needs a number mean")?;
        let signal = context.open(row.get("signal"))?;
        let samples = signal.array::<f64>()?.data;
        let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
        let crossings = samples
            .windows(2)
            .filter(|pair| (pair[0] < mean) != (pair[1] < mean))
            .count();
        Ok(row
            .with("energy", energy)
            .with("crossings", crossings as i64))
    }
}

export!(Energy);
