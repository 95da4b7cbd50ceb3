use crate::Value;
use crate::msgpack::NotMsgpack;
use std::panic::Location;

/// What a calculation may know beside its message.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Time of the step in ms since 1970: the same again in a replay, unlike the machine's clock.
    pub at: f64,
    pub graph: &'a str,
    pub node: &'a str,
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
}

impl Failure {
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self::at(message, Location::caller())
    }

    pub(crate) fn at(message: impl Into<String>, place: &Location) -> Self {
        Self { message: message.into(), file: place.file().to_owned(), line: place.line() }
    }

    pub(crate) fn to_value(&self) -> Value {
        let place = Value::map([("file", self.file.as_str().into()), ("line", self.line.into())]);
        Value::map([("code", "CALC-THREW".into()), ("msg", self.message.as_str().into()), ("place", place)])
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
