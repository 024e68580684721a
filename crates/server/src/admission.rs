//! The layers that decide who may use the server.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::state::State;

/// Checks tokens and rates before anything of the body is read.
pub(crate) async fn admit(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let admitted = match state.gate.admit(&request) {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(request).await;
    response.extensions_mut().insert(admitted);
    response
}

/// Checks the names by which a request calls this machine. Browsers always send one.
pub(crate) async fn check_names(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().map(|host| host.as_bytes());
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    match state.gate.admission.check_names(hosts.chain(authority)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
