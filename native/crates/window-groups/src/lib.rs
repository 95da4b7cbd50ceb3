//! The open groups of a window node. A **group** is one key in one window; its **cells** are the running numbers that the node's
//! aggregates are made of. What it does, and in which order, is what `actors/src/window/script-groups.ts` does: both are held
//! against each other to the last bit (`ops/test/native/window-groups.test.ts`).
//!
//! Keys are numbers that the caller gives: dense, from 0.

mod combined;
mod fold;
mod groups;
mod windows;

pub use fold::{CellSpec, Fold, Input, Values};
pub use groups::{Frame, Refused, WindowGroups};
