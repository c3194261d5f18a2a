//! What is enabled and disabled: servers, their checks, frontends.

use super::command::Asked;
use super::on_server::OnServer;
use super::target;
use crate::admin::Action;
use crate::event::{AdminState, FrontendSnapshot, FrontendState};

pub async fn disable_server(asked: &Asked<'_>) -> String {
    set_state(asked, AdminState::Maint).await
}

pub async fn enable_server(asked: &Asked<'_>) -> String {
    set_state(asked, AdminState::Ready).await
}

async fn set_state(asked: &Asked<'_>, state: AdminState) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(2), &config) {
        Ok(found) => asked.act_on(OnServer::State(state), found).await,
        Err(complaint) => complaint.to_owned(),
    }
}

pub async fn disable_health(asked: &Asked<'_>) -> String {
    switch_asker(asked, OnServer::Check(false), "").await
}

pub async fn enable_health(asked: &Asked<'_>) -> String {
    const MISSING: &str = "Health check was not configured on this server, cannot enable.\n";
    switch_asker(asked, OnServer::Check(true), MISSING).await
}

pub async fn disable_agent(asked: &Asked<'_>) -> String {
    switch_asker(asked, OnServer::AskAgent(false), "").await
}

pub async fn enable_agent(asked: &Asked<'_>) -> String {
    const MISSING: &str = "Agent was not configured on this server, cannot enable.\n";
    switch_asker(asked, OnServer::AskAgent(true), MISSING).await
}

/// `missing` is said where there is nothing to be switched.
async fn switch_asker(asked: &Asked<'_>, switch: OnServer, missing: &str) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(2), &config) {
        Ok(found) if switch.fits(found, asked.views) => asked.act_on(switch, found).await,
        Ok(_) => missing.to_owned(),
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
