//! A session's line in a format of its own: HAProxy's `log-format`.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::{backend, concurrent, growing, milliseconds, moment, moved, server, waited};
use crate::event::{SessionRecord, SessionStage};
use crate::model::{LineFormat, Part, Variable};

pub(super) fn write(
    format: &LineFormat,
    stage: SessionStage,
    record: &SessionRecord,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    for part in format.parts() {
        match part {
            Part::Text(text) => out.write_all(text.as_bytes())?,
            Part::Variable { variable, quoted } => Line { stage, record, quoted: *quoted, out }.write(*variable)?,
        }
    }
    Ok(())
}

/// What a variable is written from, and where to.
struct Line<'a> {
    stage: SessionStage,
    record: &'a SessionRecord,
    quoted: bool,
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn write(mut self, variable: Variable) -> io::Result<()> {
        let record = self.record;
        let concurrent = concurrent(self.stage, record);
        let grows = growing(self.stage, record);
        let since_epoch = record.accepted.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match variable {
            Variable::ClientAddress => self.text(record.client.parts().0),
            Variable::ClientPort => self.number(record.client.parts().1),
            Variable::FrontendAddress => self.text(record.listener.parts().0),
            Variable::FrontendPort => self.number(record.listener.parts().1),
            Variable::BackendSourceAddress => self.ip(record.source),
            Variable::BackendSourcePort => self.port(record.source),
            Variable::Frontend => self.text(&record.frontend),
            Variable::Backend => self.text(backend(record)),
            Variable::Server => self.text(server(record)),
            Variable::Hostname => self.text(rustix::system::uname().nodename().to_string_lossy()),
            Variable::Process => self.number(std::process::id()),
            Variable::AcceptDate => self.text(moment::tcplog(record.accepted)),
            Variable::AcceptDateUtc => self.text(moment::with_zone(record.accepted, moment::Zone::Utc)),
            Variable::AcceptDateLocal => self.text(moment::with_zone(record.accepted, moment::Zone::Local)),
            Variable::AcceptTimestamp => self.number(since_epoch.as_secs()),
            Variable::AcceptMilliseconds => self.number(format_args!("{:03}", since_epoch.subsec_millis())),
            Variable::QueueTime => self.time(waited(record)),
            Variable::ConnectTime => self.time(record.dialled),
            Variable::TotalTime => self.number(format_args!("{grows}{}", record.total.as_millis())),
            Variable::BytesOut => self.number(format_args!("{grows}{}", record.bytes_out)),
            Variable::BytesIn => self.number(format_args!("{grows}{}", record.bytes_in)),
            Variable::ProcessConnections => self.number(concurrent.process),
            Variable::FrontendConnections => self.number(concurrent.frontend),
            Variable::BackendConnections => self.number(concurrent.backend),
            Variable::ServerConnections => self.number(concurrent.server),
            Variable::Retries => self.number(format_args!("{}{}", moved(record), record.retries)),
            Variable::ServerQueue => self.number(concurrent.server_queue),
            Variable::BackendQueue => self.number(concurrent.backend_queue),
            Variable::Ending => {
                let [who, phase] = record.ending.letters();
                self.number(format_args!("{who}{phase}"))
            }
        }
    }

    /// What flags may put into quotation marks.
    fn text(&mut self, text: impl Display) -> io::Result<()> {
        if self.quoted { write!(self.out, "\"{text}\"") } else { write!(self.out, "{text}") }
    }

    /// What they never do.
    fn number(&mut self, number: impl Display) -> io::Result<()> {
        write!(self.out, "{number}")
    }

    fn time(&mut self, time: Option<Duration>) -> io::Result<()> {
        self.number(milliseconds(time))
    }

    fn ip(&mut self, address: Option<SocketAddr>) -> io::Result<()> {
        match address {
            Some(address) => self.text(address.ip()),
            None => self.text("-"),
        }
    }

    fn port(&mut self, address: Option<SocketAddr>) -> io::Result<()> {
        match address {
            Some(address) => self.number(address.port()),
            None => self.number("-"),
        }
    }
}
