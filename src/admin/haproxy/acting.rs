//! What operators do over HAProxy's page (`stats admin`): a form with servers and an action, which is done as the runtime
//! API does it.

use hyper::body::Body;
use hyper::{Request, Response, StatusCode};

use super::super::Views;
use super::super::caller::Caller;
use super::super::origin;
use super::super::page::classic::Choice;
use super::super::refusal::Refusal;
use super::super::requests::AnsweredBy;
use super::super::router::{self, Answer};
use super::super::runtime::on_server::OnServer;
use super::super::runtime::target::{self, Found};
use super::answer;
use super::form::{Form, MAX_FORM};
use super::told::Told;
use super::uri::Wanted;
use super::words;
use crate::event::{Actor, AdminState, ForcedHealth, Service};
use crate::model::StatsPage;

/// An action by its word in the form.
struct Named {
    choice: Choice,
    does: OnServer,
}

const fn named(word: &'static str, words: &'static str, does: OnServer) -> Named {
    Named { choice: Choice { word, words }, does }
}

/// In the order of HAProxy's page.
const ACTIONS: [Named; 13] = [
    named("ready", "State: ready", OnServer::State(AdminState::Ready)),
    named("drain", "State: drain", OnServer::State(AdminState::Drain)),
    named("maint", "State: maint", OnServer::State(AdminState::Maint)),
    named("dhlth", "Checks: off", OnServer::Check(false)),
    named("ehlth", "Checks: on", OnServer::Check(true)),
    named("hrunn", "Health: up", OnServer::Health(ForcedHealth::Up)),
    named("hnolb", "Health: stopping", OnServer::Health(ForcedHealth::Stopping)),
    named("hdown", "Health: down", OnServer::Health(ForcedHealth::Down)),
    named("dagent", "Agent checks: off", OnServer::AskAgent(false)),
    named("eagent", "Agent checks: on", OnServer::AskAgent(true)),
    named("arunn", "Agent: up", OnServer::Agent(true)),
    named("adown", "Agent: down", OnServer::Agent(false)),
    named("shutdown", "End the sessions", OnServer::EndSessions),
];

/// What the page offers to those who may act.
pub fn choices() -> Vec<Choice> {
    ACTIONS.iter().map(|action| action.choice).collect()
}

/// Whether a page may be acted on by who comes from there.
pub fn may_act(page: &StatsPage, caller: &Caller, views: &Views) -> bool {
    answer::any_holds(&page.admin, caller.ends(), &|| (views.snapshot)())
}

/// Takes a form that was sent to a page, and leads back there. `user` has shown a password of the page's.
pub async fn take<B>(
    request: Request<B>,
    (page, wanted): (&StatsPage, &Wanted),
    caller: &Caller,
    user: Option<String>,
    views: &Views,
) -> Result<Response<Answer>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    // A browser shows its user's password to the site alone that has asked for it.
    let is_foreign =
        origin::note_foreign(&head.headers).is_err() || page.users.is_empty() && caller.is_led_astray(&head.headers);
    let told = match may_act(page, caller, views) && !is_foreign {
        false => Told::Denied,
        true => match read(body).await? {
            None => Told::TooLarge,
            Some(form) => act(&form, page, &caller.on_page(user), views).await,
        },
    };
    let mut response = words::back(page, told, wanted);
    response.extensions_mut().insert(AnsweredBy::Service(Service::Statistics));
    Ok(response)
}

/// The form; `None` if it is too large.
async fn read<B>(body: B) -> Result<Option<Vec<u8>>, Refusal>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if body.is_end_stream() {
        return Ok(Some(Vec::new()));
    }
    match router::read(body, MAX_FORM).await {
        Ok(form) => Ok(Some(form.into())),
        Err(refusal) if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Does what a form wants.
async fn act(form: &[u8], page: &StatsPage, by: &Actor, views: &Views) -> Told {
    let Some(form) = Form::read(form) else { return Told::Wrong };
    let config = (views.config)();
    let backend = match form.backend.as_deref().map(|word| target::backend(word, &config)) {
        Some(None) => return Told::Wrong,
        Some(Some(backend)) if !page.shows(backend.name.as_str()) => return Told::Denied,
        Some(known) => known,
        None => None,
    };
    let action = match form.action.as_deref().map(action) {
        Some(None) => return Told::Wrong,
        Some(known) => known,
        None => None,
    };
    let (Some(backend), Some(action)) = (backend, action) else { return Told::Nothing };
    let (mut meant, mut done) = (0, 0);
    for name in &form.servers {
        let Some(server) = backend.servers.iter().find(|server| server.name.as_str() == name) else {
            meant += 1;
            continue;
        };
        let found = Found { backend, server };
        if action.fits(found, views) {
            meant += 1;
            done += usize::from(is_done(action, found, by, views).await);
        }
    }
    Told::of_counts(meant, done)
}

fn action(word: &str) -> Option<OnServer> {
    ACTIONS.iter().find(|action| action.choice.word == word).map(|action| action.does)
}

/// Where there is nothing to be done, it is.
async fn is_done(action: OnServer, found: Found<'_>, by: &Actor, views: &Views) -> bool {
    match action.action(found, views) {
        Some(action) => (views.act)(action, by.clone()).await.is_ok(),
        None => true,
    }
}

#[cfg(test)]
mod tests;
