use crate::msgpack::NotMsgpack;
use crate::payload::{self, Payload};
use crate::{Value, abi};
use std::panic::Location;

/// What a calculation may know beside its message.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Time of the step in ms since 1970: the same again in a replay, unlike the machine's clock.
    pub at: f64,
    pub graph: &'a str,
    pub node: &'a str,
    pub(crate) payloads: Option<&'a abi::Payloads>,
}

impl<'a> Context<'a> {
    /// For calls outside of any host, where payloads travel inline.
    pub fn new(at: f64, graph: &'a str, node: &'a str) -> Self {
        Self { at, graph, node, payloads: None }
    }

    /// Opens the payload that a field of the row is: its bytes where they are, not a copy, until it is dropped.
    ///
    /// Fails with `PAYLOAD-VALUE` for a value that is no payload of the row, with `PAYLOAD-MISSING` when its bytes are gone, with
    /// `PAYLOAD-UNREACHABLE` for a reference where nobody can open one: in WebAssembly, and inline.
    #[track_caller]
    pub fn open(&self, value: &Value) -> Result<Payload<'_>, Failure> {
        let place = Location::caller();
        payload::open(self.payloads, value).map_err(|(code, why)| Failure::at(why, place).with_code(code))
    }
}

/// Turns messages into messages. One whose `IS_STATEFUL` is true keeps state; the log has it together with the results.
pub trait Calculator: Sized {
    const IS_STATEFUL: bool = false;

    /// Called for every new instance, with the node's `config`.
    fn new(config: &Value) -> Result<Self, Failure>;

    /// The message's result: nil drops it, a list gives several messages, anything else one. A stateful calculator is set
    /// back to before a message that failed. A panic fails the message too.
    fn calculate(&mut self, row: &Value, context: &Context) -> Result<Value, Failure>;

    /// What people see of it beside its node.
    fn details(&self) -> Value {
        Value::Nil
    }

    /// The state. A map is logged field by field, only what changed.
    fn snapshot(&self) -> Value {
        Value::Nil
    }

    /// Takes a state over. Called on a new instance.
    fn restore(&mut self, _state: &Value) -> Result<(), Failure> {
        Ok(())
    }
}

/// Why a message has no result, and the line that says so.
#[derive(Clone, Debug)]
pub struct Failure {
    pub message: String,
    pub file: String,
    pub line: u32,
    code: String,
}

impl Failure {
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self::at(message, Location::caller())
    }

    pub(crate) fn at(message: impl Into<String>, place: &Location) -> Self {
        Self {
            message: message.into(),
            file: place.file().to_owned(),
            line: place.line(),
            code: "CALC-THREW".to_owned(),
        }
    }

    /// The code of the dead letter: `CALC-THREW`, or that of a payload.
    pub fn code(&self) -> &str {
        &self.code
    }

    fn with_code(self, code: String) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn to_value(&self) -> Value {
        let place = Value::map([("file", self.file.as_str().into()), ("line", self.line.into())]);
        Value::map([("code", self.code.as_str().into()), ("msg", self.message.as_str().into()), ("place", place)])
    }
}

impl From<&str> for Failure {
    #[track_caller]
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Failure {
    #[track_caller]
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<NotMsgpack> for Failure {
    #[track_caller]
    fn from(error: NotMsgpack) -> Self {
        Self::new(error.to_string())
    }
}
