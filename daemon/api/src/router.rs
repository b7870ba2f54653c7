//! Which route is answered by which resource, and what holds for all of them.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Router, body::Body};
use mains_types::Peer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{Door, Scope};
use crate::errors::ApiError;
use crate::{
    App, admin, chat, completions, devices, health, imports, metrics, models, plan, prepare, status, usage,
};

/// The routes of one socket. Requests must carry a [`Peer`] as extension.
pub(crate) fn router(app: &Arc<App>, door: Door) -> Router {
    let routes = both();
    let routes = match door {
        Door::Requests => routes
            .route("/v1/chat/completions", post(chat::create))
            .route("/v1/completions", post(completions::create)),
        Door::Administration => routes
            .route("/admin/imports", post(imports::begin))
            .route("/admin/imports/{id}/files/{number}", put(imports::write))
            .route("/admin/imports/{id}/finish", post(imports::finish))
            .route("/admin/models/{id}", delete(models::remove))
            .route("/admin/models/{id}/export", get(models::export))
            .route("/admin/models/{id}/load", post(admin::load))
            .route("/admin/models/{id}/unload", post(admin::unload))
            .route("/admin/models/{id}/prepare", post(prepare::prepare))
            .route("/admin/devices/measure", post(devices::measure))
            .route("/admin/reload", post(admin::reload))
            .route("/admin/backup", post(admin::backup))
            .route("/admin/logs", get(admin::logs))
            .route("/admin/support", get(admin::support)),
    };
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), count))
        .layer(middleware::from_fn_with_state((Arc::clone(app), door), admit))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(Arc::clone(app))
}

fn both() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::read))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::read))
        .route("/v1/models/{id}/details", get(models::details))
        .route("/v1/models/{id}/plan", get(plan::read).post(plan::elsewhere))
        .route("/v1/devices", get(devices::list))
        .route("/v1/status", get(status::read))
        .route("/v1/usage", get(usage::sums))
        .route("/v1/requests", get(usage::rows))
}

/// Nobody but an admitted peer gets any answer; the scope goes with the request.
async fn admit(
    State((app, door)): State<(Arc<App>, Door)>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    match app.access.get().admit(door, &peer) {
        Ok(scope) => {
            if let Scope::Team(caller) = &scope {
                request.extensions_mut().insert(caller.clone());
            }
            request.extensions_mut().insert(scope);
            next.run(request).await
        }
        Err(why) => {
            app.counters.refused_peers.inc();
            ApiError::new(StatusCode::FORBIDDEN, "unmapped_uid", why).into_response()
        }
    }
}

async fn count(State(app): State<Arc<App>>, path: MatchedPath, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    app.counters.response(path.as_str(), response.status());
    response
}

async fn unknown_route(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_route",
        format!("there is no route {method} {} on this socket", uri.path()),
    )
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not take {method}", uri.path()),
    )
}

/// A panic costs its own request. What it says may quote the request, so it goes nowhere.
fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    tracing::error!("a request handler panicked: a defect of mains");
    ApiError::internal("the request hit a defect of mains; the daemon goes on").into_response()
}
