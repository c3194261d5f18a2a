//! What is enabled and disabled: servers, their checks, frontends.

use super::command::Asked;
use super::target;
use crate::admin::{Action, Target};
use crate::event::{AdminState, FrontendSnapshot, FrontendState};
use crate::model::Server;

pub async fn disable_server(asked: &Asked<'_>) -> String {
    set_state(asked, AdminState::Maint).await
}

pub async fn enable_server(asked: &Asked<'_>) -> String {
    set_state(asked, AdminState::Ready).await
}

async fn set_state(asked: &Asked<'_>, state: AdminState) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(2), &config) {
        Ok(found) => asked.act(Action::SetState { target: found.target(), state, over: None }).await,
        Err(complaint) => complaint.to_owned(),
    }
}

pub async fn disable_health(asked: &Asked<'_>) -> String {
    switch_asker(asked, &HEALTH, false).await
}

pub async fn enable_health(asked: &Asked<'_>) -> String {
    switch_asker(asked, &HEALTH, true).await
}

pub async fn disable_agent(asked: &Asked<'_>) -> String {
    switch_asker(asked, &AGENT, false).await
}

pub async fn enable_agent(asked: &Asked<'_>) -> String {
    switch_asker(asked, &AGENT, true).await
}

/// Something that asks a server how it is.
struct Asker {
    is_there: fn(&Server) -> bool,
    action: fn(Target, bool) -> Action,
    /// What is said if it is to begin and is not there.
    missing: &'static str,
}

const HEALTH: Asker = Asker {
    is_there: |server| server.check.is_some(),
    action: |target, on| Action::SetChecks { target, on },
    missing: "Health check was not configured on this server, cannot enable.\n",
};

const AGENT: Asker = Asker {
    is_there: |server| server.agent.is_some(),
    action: |target, on| Action::AskAgent { target, on },
    missing: "Agent was not configured on this server, cannot enable.\n",
};

async fn switch_asker(asked: &Asked<'_>, asker: &Asker, on: bool) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(2), &config) {
        Ok(found) if (asker.is_there)(found.server) => asked.act((asker.action)(found.target(), on)).await,
        Ok(_) if on => asker.missing.to_owned(),
        // There is nothing to be left out.
        Ok(_) => String::new(),
        Err(complaint) => complaint.to_owned(),
    }
}

pub async fn disable_frontend(asked: &Asked<'_>) -> String {
    switch(asked, FrontendState::Paused, |state| match state {
        FrontendState::Open => None,
        FrontendState::Paused => Some("All sockets are already disabled.\n"),
        FrontendState::Stopped => Some("Frontend was previously shut down, cannot disable.\n"),
    })
    .await
}

pub async fn enable_frontend(asked: &Asked<'_>) -> String {
    switch(asked, FrontendState::Open, |state| match state {
        FrontendState::Paused => None,
        FrontendState::Open => Some("All sockets are already enabled.\n"),
        FrontendState::Stopped => Some("Frontend was previously shut down, cannot enable.\n"),
    })
    .await
}

pub async fn shut_down_frontend(asked: &Asked<'_>) -> String {
    switch(asked, FrontendState::Stopped, |state| match state {
        FrontendState::Open | FrontendState::Paused => None,
        FrontendState::Stopped => Some("Frontend was already shut down.\n"),
    })
    .await
}

/// Has a frontend be another way, unless the way that it is stands against it.
async fn switch(asked: &Asked<'_>, to: FrontendState, against: fn(FrontendState) -> Option<&'static str>) -> String {
    let frontend = match frontend(asked.word(2), asked) {
        Ok(frontend) => frontend,
        Err(complaint) => return complaint.to_owned(),
    };
    match against(frontend.state) {
        Some(complaint) => complaint.to_owned(),
        None => asked.act(Action::SwitchFrontend { frontend: frontend.name.to_string(), to }).await,
    }
}

/// The frontend of this name.
pub fn frontend(name: &str, asked: &Asked<'_>) -> Result<FrontendSnapshot, &'static str> {
    if name.is_empty() {
        return Err("A frontend name is expected.\n");
    }
    let mut frontends = (asked.views.snapshot)().frontends.into_iter();
    frontends.find(|frontend| frontend.name.as_str() == name).ok_or("No such frontend.\n")
}
