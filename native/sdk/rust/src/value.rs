use crate::payload::{Format, KEY as PAYLOAD_KEY};

/// What messages, configurations and states are made of. A map keeps the order of its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// In states, and inside of what [`Value::payload`] makes.
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

const NIL: &Value = &Value::Nil;

impl Value {
    /// Bytes with a format, for a result: the host keeps them once, and hands them on by reference when they are large. At most
    /// 15 MiB for a message.
    pub fn payload(bytes: impl Into<Vec<u8>>, format: Format) -> Self {
        let body = Self::map([("format", format.name().into()), ("bytes", Self::Bytes(bytes.into()))]);
        Self::map([(PAYLOAD_KEY, body)])
    }

    pub fn map<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A field of a map; nil where there is none.
    pub fn get(&self, name: &str) -> &Value {
        let Self::Map(fields) = self else { return NIL };
        fields.iter().find(|(key, _)| key == name).map_or(NIL, |(_, value)| value)
    }

    /// The same map with one more field, or another value in it.
    pub fn with(&self, name: &str, value: impl Into<Value>) -> Self {
        let mut fields = if let Self::Map(fields) = self { fields.clone() } else { Vec::new() };
        match fields.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.into(),
            None => fields.push((name.to_owned(), value.into())),
        }
        Self::Map(fields)
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Whole numbers only.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(n) = self { Some(*n) } else { None }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(is) = self { Some(*is) } else { None }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        if let Self::Map(fields) = self { Some(fields) } else { None }
    }

    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}

macro_rules! from {
    ($($type:ty => $make:expr),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $make(value)
            }
        })+
    };
}

from! {
    bool => Value::Bool,
    i64 => Value::Int,
    i32 => |n| Value::Int(i64::from(n)),
    u32 => |n| Value::Int(i64::from(n)),
    f64 => Value::Float,
    String => Value::Text,
    &str => |text: &str| Value::Text(text.to_owned()),
    &Value => Value::clone,
    Vec<u8> => Value::Bytes,
}

impl<T: Into<Value>> From<Vec<T>> for Value
where
    T: NotAByte,
{
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

/// Items of lists; a vector of `u8` is bytes.
pub trait NotAByte {}
impl NotAByte for Value {}
impl NotAByte for bool {}
impl NotAByte for i64 {}
impl NotAByte for i32 {}
impl NotAByte for u32 {}
impl NotAByte for f64 {}
impl NotAByte for String {}
impl NotAByte for &str {}
