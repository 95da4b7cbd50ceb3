//! The Node addon: each module here is the binding of one crate. Nothing is decided here.

mod block;
mod calculator;
mod hash;
mod keys;
mod lock;
mod payload;
mod selection;
mod text;
mod window;
mod zstd;

use napi_derive::napi;

/// Number of the interface between the addon and `native/src/addon.ts`, changed together.
const INTERFACE: u32 = 19;

#[napi]
pub fn interface_version() -> u32 {
    INTERFACE
}
