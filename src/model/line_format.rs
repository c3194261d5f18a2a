//! A session's line as HAProxy's `log-format` describes it (configuration manual, section 8.2.6).

use std::fmt;

/// A whole line: text, and what stands for parts of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFormat {
    parts: Vec<Part>,
    written: String,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// Quoted ones are texts in quotation marks; numbers and times have none.
    Variable {
        variable: Variable,
        quoted: bool,
    },
}

/// What stands for something of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    ClientAddress,
    ClientPort,
    FrontendAddress,
    FrontendPort,
    BackendSourceAddress,
    BackendSourcePort,
    Frontend,
    Backend,
    Server,
    Hostname,
    Process,
    AcceptDate,
    AcceptDateUtc,
    AcceptDateLocal,
    AcceptTimestamp,
    AcceptMilliseconds,
    QueueTime,
    ConnectTime,
    TotalTime,
    BytesOut,
    BytesIn,
    ProcessConnections,
    FrontendConnections,
    BackendConnections,
    ServerConnections,
    Retries,
    ServerQueue,
    BackendQueue,
    Ending,
}

/// Names, what they stand for, and whether only the end of a session shows it.
const VARIABLES: [(&str, Variable, bool); 30] = [
    ("ci", Variable::ClientAddress, false),
    ("cp", Variable::ClientPort, false),
    ("fi", Variable::FrontendAddress, false),
    ("fp", Variable::FrontendPort, false),
    ("bi", Variable::BackendSourceAddress, false),
    ("bp", Variable::BackendSourcePort, false),
    ("f", Variable::Frontend, false),
    // The same with a mark behind it where TLS is ended, which is never.
    ("ft", Variable::Frontend, false),
    ("b", Variable::Backend, false),
    ("s", Variable::Server, false),
    ("H", Variable::Hostname, false),
    ("pid", Variable::Process, false),
    ("t", Variable::AcceptDate, false),
    ("T", Variable::AcceptDateUtc, false),
    ("Tl", Variable::AcceptDateLocal, false),
    ("Ts", Variable::AcceptTimestamp, false),
    ("ms", Variable::AcceptMilliseconds, false),
    ("Tw", Variable::QueueTime, true),
    ("Tc", Variable::ConnectTime, true),
    ("Tt", Variable::TotalTime, true),
    ("B", Variable::BytesOut, true),
    ("U", Variable::BytesIn, true),
    ("ac", Variable::ProcessConnections, true),
    ("fc", Variable::FrontendConnections, true),
    ("bc", Variable::BackendConnections, true),
    ("sc", Variable::ServerConnections, true),
    ("rc", Variable::Retries, true),
    ("sq", Variable::ServerQueue, true),
    ("bq", Variable::BackendQueue, true),
    ("ts", Variable::Ending, true),
];

/// Why a text is no such line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFormatError {
    /// Nothing stands behind a `%`.
    Unfinished,
    Unknown(String),
    /// A flag other than `Q`.
    Flag(String),
    /// `%[…]`.
    Sample(String),
    /// Every line would be the same.
    NoVariable,
    TooLong,
    /// What would end the line, or steer a terminal.
    Control,
}

impl fmt::Display for LineFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("nothing follows a `%`; one that means itself is written `%%`"),
            Self::Unknown(name) => write!(f, "`%{name}` means nothing for sessions of bytes"),
            Self::Flag(flag) => write!(f, "the flag `{flag}` is unknown; `+Q` and `-Q` are known"),
            Self::Sample(text) => {
                write!(f, "`%[{text}]` is a sample, and a line has none; variables such as %ci are known")
            }
            Self::NoVariable => f.write_str("it has no variable such as %ci"),
            Self::TooLong => write!(f, "it has more than {} bytes", LineFormat::LONGEST),
            Self::Control => f.write_str("it has control characters"),
        }
    }
}

impl std::error::Error for LineFormatError {}

impl LineFormat {
    /// Longest text of one: more is no line.
    pub const LONGEST: usize = 1024;

    /// Reads what stands behind `log-format`, its blanks no longer escaped.
    ///
    /// # Errors
    ///
    /// The first thing in it that has no meaning here.
    pub fn parse(text: &str) -> Result<Self, LineFormatError> {
        if text.len() > Self::LONGEST {
            return Err(LineFormatError::TooLong);
        }
        if text.contains(char::is_control) {
            return Err(LineFormatError::Control);
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut all_quoted = false;
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let (quoted, after) = flags(rest, all_quoted)?;
            let (name, after) = name(after)?;
            rest = after;
            if name == "o" {
                all_quoted = quoted;
                continue;
            }
            let variable = variable(name)?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Variable { variable, quoted });
        }
        if parts.is_empty() {
            return Err(LineFormatError::NoVariable);
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts, written: text.to_owned() })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// As it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it says anything that only the end of a session shows.
    pub(super) fn tells_the_end(&self) -> bool {
        let at_the_end = |variable| VARIABLES.iter().any(|(_, known, at_the_end)| *known == variable && *at_the_end);
        self.variables().any(at_the_end)
    }

    /// Whether it says which of our addresses the client has connected to.
    pub(super) fn tells_the_destination(&self) -> bool {
        self.variables().any(|variable| matches!(variable, Variable::FrontendAddress | Variable::FrontendPort))
    }

    fn variables(&self) -> impl Iterator<Item = Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable { variable, .. } => Some(*variable),
        })
    }
}

/// `{+Q}` and `{-Q}` before a name.
fn flags(text: &str, all_quoted: bool) -> Result<(bool, &str), LineFormatError> {
    let Some(inner) = text.strip_prefix('{') else { return Ok((all_quoted, text)) };
    let (flags, rest) = inner.split_once('}').ok_or(LineFormatError::Unfinished)?;
    match flags {
        "+Q" => Ok((true, rest)),
        "-Q" => Ok((false, rest)),
        other => Err(LineFormatError::Flag(other.to_owned())),
    }
}

fn name(text: &str) -> Result<(&str, &str), LineFormatError> {
    if let Some(sample) = text.strip_prefix('[') {
        let inner = sample.split_once(']').map_or(sample, |(inner, _)| inner);
        return Err(LineFormatError::Sample(inner.to_owned()));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    if end == 0 { Err(LineFormatError::Unfinished) } else { Ok(text.split_at(end)) }
}

fn variable(name: &str) -> Result<Variable, LineFormatError> {
    let found = VARIABLES.iter().find(|(known, ..)| *known == name).map(|(_, variable, _)| *variable);
    found.ok_or_else(|| LineFormatError::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_and_variables() {
        let format = LineFormat::parse("%ci:%cp [%t] 100%% %{+Q}b %s").unwrap();
        let said: Vec<String> = format
            .parts()
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Variable { variable, quoted } => {
                    format!("<{variable:?}{}>", if *quoted { " quoted" } else { "" })
                }
            })
            .collect();
        assert_eq!(said.concat(), "<ClientAddress>:<ClientPort> [<AcceptDate>] 100% <Backend quoted> <Server>");
    }

    /// `%{+Q}o` says nothing itself.
    #[test]
    fn flags_hold_for_all_that_follow_if_they_stand_at_o() {
        let format = LineFormat::parse("%{+Q}o%ci%{-Q}b").unwrap();
        let quoted: Vec<bool> =
            format.parts().iter().map(|part| matches!(part, Part::Variable { quoted: true, .. })).collect();
        assert_eq!(quoted, [true, false]);
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_its_name() {
        let error = |text| LineFormat::parse(text).unwrap_err();
        assert_eq!(error("%"), LineFormatError::Unfinished);
        assert_eq!(error("%ci %ST"), LineFormatError::Unknown("ST".to_owned()));
        assert_eq!(error("%{+X}cp"), LineFormatError::Flag("+X".to_owned()));
        assert_eq!(error("%[src] %ci"), LineFormatError::Sample("src".to_owned()));
        assert_eq!((error("100%% sure"), error("a\n%ci")), (LineFormatError::NoVariable, LineFormatError::Control));
        assert_eq!(error(&"%ci".repeat(LineFormat::LONGEST)), LineFormatError::TooLong);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~äß]{0,60}") {
            let _ = LineFormat::parse(&text);
        }
    }
}
