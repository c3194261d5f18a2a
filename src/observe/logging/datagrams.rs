//! A target that takes datagrams: each line is one. A receiver that has gone is looked for until it is back; its lines
//! wait in the queue meanwhile.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::{Deliver, GATHER, QUEUE, Writer, rest};

/// How soon a receiver that has gone is looked for again.
const RETRY: Duration = Duration::from_millis(250);

/// Writes until the last line.
pub(super) fn write(mut writer: Writer, connect: impl FnMut() -> io::Result<Deliver>) {
    let mut receiver = Receiver { connect, open: None };
    let mut datagram = Vec::new();
    while let Ok(first) = writer.arriving.recv() {
        let mut next = Some(first);
        let mut lines = 0;
        while let Some(line) = next {
            let end = writer.append(line, &mut datagram, &mut lines);
            if !datagram.is_empty() {
                deliver(&mut datagram, &mut writer, &mut receiver);
            }
            // In between, so that the target is told also while more and more lines come.
            if end.is_some() || lines.is_multiple_of(QUEUE as u64) {
                tell_lost(&mut datagram, &mut writer, &mut receiver);
            }
            if let Some(end) = end {
                let _ = end.send(());
                return;
            }
            next = writer.arriving.try_recv().ok();
        }
        tell_lost(&mut datagram, &mut writer, &mut receiver);
        rest(GATHER);
    }
}

fn tell_lost<C>(datagram: &mut Vec<u8>, writer: &mut Writer, receiver: &mut Receiver<C>)
where
    C: FnMut() -> io::Result<Deliver>,
{
    let lost = writer.append_lost(datagram);
    if !datagram.is_empty() {
        deliver(datagram, writer, receiver);
        writer.told = lost;
    }
}

/// Delivers the datagram, however long that takes, and empties it.
fn deliver<C>(datagram: &mut Vec<u8>, writer: &mut Writer, receiver: &mut Receiver<C>)
where
    C: FnMut() -> io::Result<Deliver>,
{
    loop {
        match receiver.take(datagram) {
            Ok(()) => break writer.episode.delivered(),
            // It never will; the lines behind it may.
            Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => {
                break writer.tally.drop_lines(1);
            }
            Err(error) => {
                writer.episode.failed(&error);
                rest(RETRY);
            }
        }
    }
    datagram.clear();
}

/// The way to a receiver, made anew when it has broken.
struct Receiver<C> {
    connect: C,
    open: Option<Deliver>,
}

impl<C: FnMut() -> io::Result<Deliver>> Receiver<C> {
    /// Sends once, and a second time over a new connection: a receiver that was started anew is there at once.
    fn take(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(deliver) = &mut self.open {
            match deliver(datagram) {
                Ok(()) => return Ok(()),
                // It is there, and slow.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.open = None;
                    return Err(error);
                }
                Err(_) => self.open = None,
            }
        }
        let mut deliver = (self.connect)()?;
        deliver(datagram)?;
        self.open = Some(deliver);
        Ok(())
    }
}
