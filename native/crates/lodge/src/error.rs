use std::{fmt, io};

#[derive(Debug)]
pub enum Error {
    /// No room: the map is full at its cap, the file system is full, or a quota is used up. The payload travels inline.
    Full,
    Io {
        what: String,
        source: io::Error,
    },
    Lmdb {
        what: &'static str,
        text: String,
    },
    /// This machine cannot keep payloads by reference.
    Unsupported(String),
    /// A file of the store is not what it has to be.
    Damaged(String),
}

impl Error {
    /// For `map_err`: says what was tried, and keeps a full file system apart.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::Full,
            _ => Self::Io { what, source },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "no room for payloads"),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Lmdb { what, text } => write!(f, "{what}: {text}"),
            Self::Unsupported(why) | Self::Damaged(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
