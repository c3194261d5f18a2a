//! The log lines of requests: what is noted of each from its first byte to the last of its answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use hyper::body::Body;
use hyper::header::CONNECTION;
use hyper::{Method, Request, Response};
use tokio::time::Instant;

use super::caller::Caller;
use super::{Site, Views};
use crate::clock;
use crate::event::{Asked, RequestFate, RequestRecord, Service};
use crate::model::{FrontendName, RequestLine, RequestLog};
use crate::observe::logging;

/// What has answered a request, noted in the answer. Without a note it is something of evenkeel's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// Of which there is no line but of who has connected.
    Monitor,
    Service(Service),
    Nobody,
}

/// The requests of one connection.
pub(super) struct Requests {
    site: Arc<Site>,
    views: Arc<Views>,
    name: FrontendName,
    is_listen: bool,
    log: RequestLog,
    client: SocketAddr,
    listener: SocketAddr,
    connected: (SystemTime, Instant),
    course: Mutex<Course>,
}

/// The request under way.
#[derive(Default)]
struct Course {
    /// When its first byte came.
    begun: Option<(SystemTime, Instant)>,
    asked: Option<Asked>,
    /// Whether it wants an answer's head alone.
    is_head: bool,
    fate: Option<RequestFate>,
    bytes: u64,
    /// Another one came before it.
    follows: bool,
}

impl Requests {
    /// `None` where they have no lines.
    pub fn of(site: &Arc<Site>, views: &Arc<Views>, caller: &Caller) -> Option<Arc<Self>> {
        let (name, is_listen, log) = site.logged()?;
        let ends = caller.ends();
        Some(Arc::new(Self {
            site: Arc::clone(site),
            views: Arc::clone(views),
            name,
            is_listen,
            log,
            client: ends.source,
            listener: ends.destination.unwrap_or(ends.source),
            connected: (clock::wall(), Instant::now()),
            course: Mutex::default(),
        }))
    }

    /// Some bytes of one have come.
    pub fn note_read(&self) {
        self.course().begun.get_or_insert_with(|| (clock::wall(), Instant::now()));
    }

    /// Its head is there.
    pub fn note_asked<B>(&self, request: &Request<B>) {
        let mut course = self.course();
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        let took = course.begun.map_or_else(Default::default, |(_, begun)| begun.elapsed());
        (course.asked, course.is_head) = (Some(Asked { line, took }), request.method() == Method::HEAD);
    }

    /// Its answer is known.
    pub fn note_answered<B: Body>(&self, answer: &Response<B>) {
        let status = answer.status().as_u16();
        let mut course = self.course();
        course.bytes = size(answer, course.is_head);
        course.fate = match answer.extensions().get() {
            // Who has connected is told before it is known what for.
            Some(AnsweredBy::Monitor) if self.log.line != RequestLine::Connect => {
                *course = Course { follows: true, ..Course::default() };
                return;
            }
            Some(AnsweredBy::Nobody) => Some(RequestFate::Nowhere),
            Some(AnsweredBy::Service(by)) => Some(RequestFate::Answered { by: *by, status }),
            Some(AnsweredBy::Monitor) | None => Some(RequestFate::Answered { by: Service::Statistics, status }),
        };
    }

    /// All that was written is out: an answer is whole.
    pub fn note_flushed(&self) {
        let mut course = self.course();
        let Some(fate) = course.fate else { return };
        let course = std::mem::replace(&mut *course, Course { follows: true, ..Course::default() });
        self.tell(course, fate);
    }

    /// The connection is over.
    pub fn end(&self, ended: &hyper::Result<()>) {
        let course = std::mem::take(&mut *self.course());
        let fate = match ended {
            _ if course.fate.is_some() => course.fate,
            Err(error) if error.is_parse() => Some(RequestFate::Malformed),
            Err(error) if error.is_timeout() => Some(RequestFate::Late),
            _ if course.begun.is_some() => Some(RequestFate::Left),
            _ if !course.follows && self.log.silent_clients => Some(RequestFate::Left),
            _ => None,
        };
        if let Some(fate) = fate {
            self.tell(course, fate);
        }
    }

    fn tell(&self, course: Course, fate: RequestFate) {
        // HAProxy has a line of those who have connected for requests alone.
        let is_none = course.asked.is_none() && self.log.line == RequestLine::Connect;
        if is_none || !(self.log.normal_requests || fate.is_error()) {
            return;
        }
        let (begun, since) = course.begun.unwrap_or(self.connected);
        logging::request(&RequestRecord {
            site: self.name.clone(),
            is_listen: self.is_listen,
            client: self.client,
            listener: self.listener,
            begun,
            ended: clock::wall(),
            total: since.elapsed(),
            asked: course.asked,
            fate,
            bytes: course.bytes,
            open: self.open(),
            log: self.log.clone(),
        });
    }

    /// The connections that are open: the process's, and the site's.
    fn open(&self) -> (u32, u32) {
        ((self.views.connections)(), self.site.connections())
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        // Whatever a panic may have left, one line is wrong at most.
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's size as HAProxy counts it: in its own form, which has a start line's three parts behind twenty bytes, names and
/// values without what is between them, and an end of the head; how the connection goes on is no part of it.
fn size<B: Body>(answer: &Response<B>, is_head: bool) -> u64 {
    const START: usize = 20 + "HTTP/1.1".len() + "200".len();
    let reason = answer.status().canonical_reason().map_or(0, str::len);
    let headers = answer.headers().iter().filter(|(name, _)| *name != CONNECTION);
    let headers: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
    let body = if is_head { 0 } else { answer.body().size_hint().lower() };
    (START + reason + headers + 1) as u64 + body
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::super::haproxy::told::Told;
    use super::super::haproxy::uri::Wanted;
    use super::super::haproxy::words;
    use super::*;
    use crate::model::StatsPage;

    /// What HAProxy 3.2.26 wrote in its log of these answers. Seen to fail with the connection's header counted.
    #[test]
    fn an_answers_size_is_haproxys() {
        let mut nowhere = words::unavailable();
        nowhere.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        assert_eq!(size(&nowhere, false), 217);
        assert_eq!(size(&nowhere, true), 110);
        let (page, wanted) = (StatsPage::at("/stats"), Wanted::of(""));
        let denied = words::back(&page, Told::Denied, &wanted);
        let content_length = "content-length".len() + 1;
        assert_eq!(size(&denied, false) + content_length as u64, 121);
    }
}
