//! Groups of several windows put together.

use crate::fold::{CellSpec, Fold};

pub(crate) struct Combined {
    pub start: f64,
    pub keys: Vec<u32>,
    /// One kind after the other.
    pub cells: Vec<f64>,
}

impl Combined {
    /// One group per key of those at `slots`, in the order in which the keys come first; `cells` are by slot and kind.
    pub(crate) fn of(start: f64, slots: &[u32], key_of: &[u32], cells: &[f64], specs: &[CellSpec]) -> Self {
        let keys_end = slots.iter().map(|&slot| key_of[slot as usize] as usize + 1).max().unwrap_or(0);
        // Keys are dense numbers, so an array finds their places. Place + 1; 0 where there is none.
        let mut place_of_key = vec![0; keys_end];
        let mut keys = Vec::new();
        let places: Vec<usize> = slots
            .iter()
            .map(|&slot| {
                let key = key_of[slot as usize];
                let place = &mut place_of_key[key as usize];
                if *place == 0 {
                    keys.push(key);
                    *place = keys.len();
                }
                *place - 1
            })
            .collect();
        let mut all = Vec::with_capacity(keys.len() * specs.len());
        for (c, spec) in specs.iter().enumerate() {
            let from = all.len();
            all.resize(from + keys.len(), spec.fold.initial());
            let into = &mut all[from..];
            for (&place, &slot) in places.iter().zip(slots) {
                add(&mut into[place], spec.fold, cells[slot as usize * specs.len() + c]);
            }
        }
        Self { start, keys, cells: all }
    }
}

fn add(cell: &mut f64, fold: Fold, value: f64) {
    match fold {
        Fold::Min if value < *cell => *cell = value,
        Fold::Max if value > *cell => *cell = value,
        Fold::Min | Fold::Max => (),
        Fold::Messages | Fold::Nulls | Fold::Sum => *cell += value,
    }
}
