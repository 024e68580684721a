//! The id of a request across servers: W3C Trace Context.

use std::fmt;

/// Header by which a client and servers tell each other the trace.
pub const TRACEPARENT: &str = "traceparent";
/// Header by which an answer tells its request's id, the trace's.
pub const REQUEST_ID: &str = "x-request-id";

/// Which trace a request is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    parent: u64,
    flags: u8,
}

impl TraceContext {
    /// The trace that a request's header names, with `span` as the span of this server, or a new trace. `trace` and `span`
    /// are random.
    #[must_use]
    pub fn of(header: Option<&str>, trace: u128, span: u64) -> Self {
        let begun = Self { trace: trace.max(1), parent: span.max(1), flags: 0 };
        let told = header.and_then(Self::parse);
        told.map_or(begun, |told| Self { parent: begun.parent, ..told })
    }

    /// Reads `VERSION-TRACE-PARENT-FLAGS`; later versions may append to it.
    fn parse(header: &str) -> Option<Self> {
        let digits = |text: &str, count: usize| {
            let fits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            fits.then(|| u128::from_str_radix(text, 16).ok())?
        };
        let mut parts = header.trim().split('-');
        let version = digits(parts.next()?, 2)?;
        let (trace, parent) = (digits(parts.next()?, 32)?, digits(parts.next()?, 16)?);
        let flags = digits(parts.next()?, 2)?;
        let ends = parts.next().is_none();
        let valid = version != 0xff && (ends || version > 0) && trace != 0 && parent != 0;
        let context = Self { trace, parent: u64::try_from(parent).ok()?, flags: u8::try_from(flags).ok()? };
        valid.then_some(context)
    }

    /// The id of the request: the trace's 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// This server's span: 16 hexadecimal digits.
    #[must_use]
    pub fn span(&self) -> String {
        format!("{:016x}", self.parent)
    }
}

impl fmt::Display for TraceContext {
    /// The header for requests to other servers that are made for this one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.parent, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::of(Some(header), 7, 0x1234);
        assert_eq!(context.to_string(), "00-0af7651916cd43dd8448eb211c80319c-0000000000001234-01");
        assert_eq!(
            (context.id().as_str(), context.span().as_str()),
            ("0af7651916cd43dd8448eb211c80319c", "0000000000001234")
        );
        let later = header.replacen("00", "01", 1) + "-more";
        assert_eq!(TraceContext::of(Some(&later), 7, 1).id(), context.id());
    }

    #[test]
    fn nonsense_begins_another() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let wrong = [
            String::new(),
            header.to_uppercase(),
            header[1..].to_owned(),
            format!("{header}-more"),
            header.replacen("00", "ff", 1),
            zero.to_owned(),
            header.replace("b7ad6b7169203331", "0000000000000000"),
            header.replace("b7ad", "b7+d"),
        ];
        for header in wrong.iter().map(|header| Some(header.as_str())).chain([None]) {
            assert_eq!(
                TraceContext::of(header, 7, 9).to_string(),
                "00-00000000000000000000000000000007-0000000000000009-00"
            );
        }
        assert_ne!(TraceContext::of(None, 0, 0).id(), "0".repeat(32));
    }
}
