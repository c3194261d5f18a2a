//! `/live`: a page that is open is told what has changed of it, at most once a second (server-sent events, HTML
//! standard, section 9.2).
//!
//! Page and updates come from the same template: it is made again, cut into its parts, and held against what was sent
//! before. What a hundred readers of one page are shown is made once, and so is what they are told of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use super::page::{self, View};
use super::refusal::Refusal;
use super::router::Answer;
use super::{Leaving, Views};

/// How often a page is made again.
const EVERY: Duration = Duration::from_secs(1);

/// For so long a page is followed before whoever follows it has to ask, and is looked at, anew: their login may have
/// ended.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// A reader to whom nothing was sent for so many turns is told that we are still here.
const SILENT_TURNS: u32 = 5;

/// Messages on their way to one reader; one who is slower misses those in between.
const UNDER_WAY: usize = 1;

/// Pages that are followed at a time, whoever has them open: each is made once a second, and so many hardly take the
/// control thread's time from checks.
const MOST_FOLLOWED: usize = 64;

/// Makes a page, such as one more time each second.
pub(super) type Make = Box<dyn Fn(&Views) -> Result<View, Refusal> + Send>;

/// What was made of pages within the last second, for all who have them open.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pages: Mutex<HashMap<String, (Instant, Arc<Made>)>>,
}

/// A page as it was made, and where its parts are.
#[derive(Debug)]
struct Made {
    /// No other has the same number.
    number: u64,
    title: String,
    icon: &'static str,
    main: String,
    parts: Vec<Part>,
    /// All of it, for those who have seen none.
    whole: OnceLock<Option<Bytes>>,
    /// What they are told who have seen the page of another number, which is the same one for nearly all of them.
    told: Mutex<Option<(u64, Option<Bytes>)>>,
}

#[derive(Debug, PartialEq)]
struct Part {
    id: String,
    html: String,
}

impl Made {
    fn of(view: View) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Relaxed);
        let parts = parts(&view.main);
        let (whole, told) = (OnceLock::new(), Mutex::default());
        Self { number, title: view.title, icon: page::icon(view.tone), main: view.main, parts, whole, told }
    }

    /// What a reader has to be told who has seen `before`. It is put into words once for all who have.
    fn update_after(&self, before: Option<&Self>) -> Option<Bytes> {
        let words = || update(before, self).map(Bytes::from);
        let Some(before) = before else { return self.whole.get_or_init(words).clone() };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some((number, update)) if *number == before.number => update.clone(),
            _ => {
                let update = words();
                *told = Some((before.number, update.clone()));
                update
            }
        }
    }

    /// Whether it says the same.
    fn is(&self, other: &Self) -> bool {
        (&self.title, self.icon, &self.main) == (&other.title, other.icon, &other.main)
    }

    /// Whether the same parts stand in the same order.
    fn is_like(&self, other: &Self) -> bool {
        self.parts.iter().map(|part| &part.id).eq(other.parts.iter().map(|part| &part.id))
    }
}

/// What stands between the marks, each with the id of its element.
fn parts(main: &str) -> Vec<Part> {
    let part = |rest: &str| {
        let html = rest.split_once("<!--/part-->")?.0.trim();
        let id = html.split_once(" id=\"")?.1.split_once('"')?.0;
        Some(Part { id: id.to_owned(), html: html.to_owned() })
    };
    main.split("<!--part-->").skip(1).filter_map(part).collect()
}

/// One message. What is left out is as it was.
#[derive(Serialize)]
struct Update<'a> {
    /// Changes with stylesheet and script: a page that was made by another version has to be loaded anew.
    release: &'static str,
    title: &'a str,
    icon: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    main: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<&'a str, &'a str>,
}

/// What a reader has to be told who has been told of `before`; `None` if nothing has changed.
fn update(before: Option<&Made>, now: &Made) -> Option<String> {
    let mut update =
        Update { release: page::release(), title: &now.title, icon: now.icon, main: None, parts: BTreeMap::new() };
    match before {
        Some(before) if before.is(now) => return None,
        Some(before) if before.is_like(now) => {
            let changed = before.parts.iter().zip(&now.parts).filter(|(before, now)| before.html != now.html);
            update.parts = changed.map(|(_, now)| (now.id.as_str(), now.html.as_str())).collect();
        }
        _ => update.main = Some(&now.main),
    }
    let data = serde_json::to_string(&update).expect("strings have a form");
    Some(format!("event: update\ndata: {data}\n\n"))
}

impl Remembered {
    /// The page under this key as it is now, or was less than a second ago.
    fn made(&self, key: &str, make: &Make, views: &Views) -> Result<Arc<Made>, Refusal> {
        let now = Instant::now();
        // A little less than a turn: each turn sees a new one.
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < EVERY * 9 / 10;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, made)) = pages.get(key)
            && is_fresh(*at)
        {
            return Ok(Arc::clone(made));
        }
        pages.retain(|_, (at, _)| is_fresh(*at));
        if pages.len() >= MOST_FOLLOWED {
            return Err(Refusal::busy(format!("{MOST_FOLLOWED} pages are followed already: try again in a second")));
        }
        let made = Arc::new(Made::of(make(views)?));
        pages.insert(key.to_owned(), (now, Arc::clone(&made)));
        Ok(made)
    }
}

/// Follows a page until its reader leaves, or the listener ends. `key` is the same only for what looks the same.
pub(super) fn follow(
    key: String,
    make: Make,
    views: Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Refusal> {
    // What can't be shown is refused as the page itself is.
    views.readers.remembered.made(&key, &make, &views)?;
    let (sender, body) = Channel::new(UNDER_WAY);
    tokio::spawn(tell(sender, key, make, views, leaving));
    let mut response = Response::new(Answer::Right(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy in between must not collect what is to come at once.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

async fn tell(mut sender: Sender<Bytes>, key: String, make: Make, views: Arc<Views>, mut leaving: Leaving) {
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Arc<Made>> = None;
    let mut silent = 0;
    let end = tokio::time::sleep(LONGEST);
    tokio::pin!(end);
    let logins_ended = views.door.logins_ended();
    // Whoever is cut off comes back within a second.
    let mut message = Some(Bytes::from_static(b"retry: 1000\n\n"));
    loop {
        if let Some(message) = message.take() {
            let sent = tokio::select! {
                sent = sender.send_data(message) => sent,
                () = leaving.told() => return,
            };
            if sent.is_err() {
                return;
            }
        }
        tokio::select! {
            _ = turns.tick() => {}
            () = leaving.told() => return,
            () = &mut end => return,
        }
        // Who was known may be so no more: the reader comes back within a second, and is asked for it.
        if views.door.logins_ended() != logins_ended {
            return;
        }
        // What it was about may be gone, such as a server after a reload: the reader loads the page, and is told so.
        let Ok(made) = views.readers.remembered.made(&key, &make, &views) else { return };
        message = made.update_after(told.as_deref());
        silent = if message.is_some() { 0 } else { silent + 1 };
        if silent >= SILENT_TURNS {
            silent = 0;
            message = Some(Bytes::from_static(b"event: alive\ndata:\n\n"));
        }
        told = Some(made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::headline::Tone;

    fn made(main: &str) -> Made {
        Made::of(View { title: "t".to_owned(), tone: Tone::Good, main: main.to_owned(), place: "/" })
    }

    const TWO: &str = "<h1>x</h1><!--part-->\n<p id=\"a\">1</p>\n<!--/part--><i></i><!--part--><p class=\"c\" \
                       id=\"b\">2</p><!--/part-->";

    fn told(before: Option<&Made>, now: &Made) -> Option<serde_json::Value> {
        let text = String::from_utf8(now.update_after(before)?.to_vec()).unwrap();
        let data = text.strip_prefix("event: update\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains('\n'), "a line break would end the message: {data}");
        Some(serde_json::from_str(data).unwrap())
    }

    // Seen to fail with all parts sent, and with the page left out where its parts are others.
    #[test]
    fn a_reader_is_told_what_has_changed_and_nothing_else() {
        let before = made(TWO);
        assert_eq!(before.parts.iter().map(|part| part.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(told(None, &before).unwrap()["main"], TWO);
        assert_eq!(told(Some(&before), &made(TWO)), None);
        let update = told(Some(&before), &made(&TWO.replace(">2<", ">3<"))).unwrap();
        assert_eq!(update["parts"], serde_json::json!({ "b": "<p class=\"c\" id=\"b\">3</p>" }));
        assert!(update.get("main").is_none());
        let fewer = made("<!--part--><p id=\"b\">2</p><!--/part-->");
        let update = told(Some(&before), &fewer).unwrap();
        assert!(update["main"].is_string() && update.get("parts").is_none());
    }

    // Seen to fail with words that are kept whoever asks.
    #[test]
    fn what_is_told_is_put_into_words_once_for_all_who_have_seen_the_same() {
        let [first, second] = [made(TWO), made(&TWO.replace(">2<", ">3<"))];
        let now = made(&TWO.replace(">1<", ">4<").replace(">2<", ">3<"));
        let [one, other] = [now.update_after(Some(&second)).unwrap(), now.update_after(Some(&second)).unwrap()];
        assert_eq!(one.as_ptr(), other.as_ptr(), "the same bytes");
        assert_eq!(told(Some(&first), &now).unwrap()["parts"].as_object().unwrap().len(), 2);
        assert_eq!(told(Some(&second), &now).unwrap()["parts"].as_object().unwrap().len(), 1);
        assert!(now.update_after(Some(&made(&now.main))).is_none());
    }
}
