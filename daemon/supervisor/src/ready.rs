//! What a life needs before its worker starts: a plan, its room in memory, and the files of its weights on disk.

use std::sync::Arc;

use mains_types::{ModelFacts, Plan};

use crate::SupervisorError;
use crate::context::Context;
use crate::place::{Refusal, Room, place};
use crate::settings::Settings;
use crate::variants::{self, Files, Wanted};

/// A plan with its room, and the files that it is loaded from.
pub(crate) struct Ready {
    pub(crate) plan: Arc<Plan>,
    pub(crate) room: Room,
    pub(crate) files: Arc<Files>,
    facts: Arc<ModelFacts>,
}

/// Plans, reserves, and makes the plan's variant when it is not there: nothing of this model is served meanwhile. Where there
/// is no room on disk for it, the model is planned with the types that its files have.
pub(crate) async fn ready(context: &Arc<Context>, settings: &Settings) -> Result<Ready, Refusal> {
    let facts = context.facts(&settings.source.path).await;
    let facts = facts.map_err(|error| Refusal {
        reason: error.to_string(),
        for_good: !matches!(error, SupervisorError::Spawn(_)),
    })?;
    let full = match placed(context, settings, &facts).await {
        Ok(ready) => return Ok(ready),
        Err(NotPlaced::Refused(refusal)) => return Err(refusal),
        Err(NotPlaced::Full(full)) => full,
    };
    tracing::warn!(model = %settings.source.name, %full, "loaded in the types of its files");
    let stored = Arc::new(ModelFacts {
        sensitivity: None,
        ..(*facts).clone()
    });
    placed(context, settings, &stored)
        .await
        .map_err(|error| match error {
            NotPlaced::Full(error) => Refusal::for_now(error),
            NotPlaced::Refused(refusal) => Refusal {
                reason: format!("{full}; and in the types of its files {}", refusal.reason),
                ..refusal
            },
        })
}

enum NotPlaced {
    Refused(Refusal),
    /// There is no room on disk, in words.
    Full(String),
}

async fn placed(
    context: &Arc<Context>,
    settings: &Settings,
    facts: &Arc<ModelFacts>,
) -> Result<Ready, NotPlaced> {
    let (plan, room) = place(context, settings, facts)
        .await
        .map_err(NotPlaced::Refused)?;
    let wanted = Wanted {
        context,
        settings,
        facts,
        plan: &plan,
    };
    let files = wanted.files(&|_| ()).await.map_err(|error| {
        if variants::is_full(&error) {
            NotPlaced::Full(error.to_string())
        } else {
            NotPlaced::Refused(Refusal::for_now(error.to_string()))
        }
    })?;
    let facts = Arc::clone(facts);
    Ok(Ready {
        plan,
        room,
        files: Arc::new(files),
        facts,
    })
}

/// Looks after the files of a model that was loaded, while it serves: its variant is read whole, once while the daemon runs, and when
/// it is damaged the model is loaded again, which makes it anew; weights that it was loaded without are packed for the next time.
pub(crate) fn look_after(context: &Arc<Context>, settings: &Settings, ready: &Ready) {
    let (context, settings) = (Arc::clone(context), settings.clone());
    let (facts, plan) = (Arc::clone(&ready.facts), Arc::clone(&ready.plan));
    let files = Arc::clone(&ready.files);
    tokio::spawn(async move {
        let model = &settings.source.name;
        let wanted = Wanted {
            context: &context,
            settings: &settings,
            facts: &facts,
            plan: &plan,
        };
        if !wanted.is_whole(&files).await {
            tracing::error!(%model, "it was loaded from a damaged file, and is loaded again");
            return reload(&context, model).await;
        }
        if files.packed.is_some() {
            return;
        }
        if let Err(error) = wanted.pack(&files, &|_| ()).await {
            tracing::info!(%model, %error, "its weights are not packed");
        }
    });
}

/// Unloads a model once its running requests are done, and loads it.
async fn reload(context: &Context, name: &str) {
    let model = context.models().get(name).cloned();
    let Some(model) = model.filter(|_| !context.uses.is_removed(name)) else {
        return;
    };
    model.unload().await;
    if let Err(error) = model.load().await {
        tracing::error!(model = %name, %error, "it can not be loaded again");
    }
}
