//! Settings that most decoders share, and the declarations that follow from them.

use mains_contract::{Activation, RopePairing};

use super::keys::{self, Key};
use super::settings::Settings;
use super::{ModelError, activation, rope};
use crate::blocks::{
    Architecture, Arrangement, Attention, Decoder, DecoderLayer, GatedMlp, Mlp, Norm, NormKind,
};

/// Sizes of a decoder whose layers are alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) context: usize,
    pub(super) width: usize,
    pub(super) feed_forward: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) value_dim: usize,
    pub(super) norm: Norm,
}

impl Sizes {
    /// Reads them. A head is a share of the width when files do not say more; each query head has its own key head.
    pub(super) fn read(settings: &mut Settings) -> Result<Self, ModelError> {
        Self::read_with(settings, keys::RMS_EPSILON, NormKind::Rms)
    }

    /// The same with norms of this kind.
    pub(super) fn read_with(
        settings: &mut Settings,
        epsilon: Key,
        kind: NormKind,
    ) -> Result<Self, ModelError> {
        let layers = settings.layers()?;
        let context = settings.integer(keys::CONTEXT)?;
        let width = settings.integer(keys::WIDTH)?;
        let feed_forward = settings.integer(keys::FEED_FORWARD)?;
        let heads = settings.integer(keys::HEADS)?;
        let kv_heads = settings.integer_or(keys::KV_HEADS, heads)?;
        let epsilon = settings.number(epsilon)?;
        let norm = Norm { kind, epsilon };
        let head_dim = settings.integer_or(keys::HEAD_DIM, width / heads)?;
        Ok(Self {
            layers,
            context,
            width,
            feed_forward,
            heads,
            kv_heads,
            head_dim,
            value_dim: settings.integer_or(keys::VALUE_DIM, head_dim)?,
            norm,
        })
    }

    /// Attention over all positions with neither biases, norms nor rotation.
    pub(super) fn attention(&self) -> Attention {
        Attention {
            value_dim: self.value_dim,
            ..Attention::plain(self.heads, self.kv_heads, self.head_dim)
        }
    }

    /// The same with the rotation that the settings tell.
    pub(super) fn rotating(
        &self,
        settings: &mut Settings,
        pairing: RopePairing,
    ) -> Result<Attention, ModelError> {
        Ok(Attention {
            rope: Some(rope::read(settings, self.head_dim, pairing)?),
            ..self.attention()
        })
    }

    /// The feed-forward part; `usual` is the gate's function when `config.json` names none.
    pub(super) fn gated(&self, settings: &mut Settings, usual: Activation) -> Result<GatedMlp, ModelError> {
        let activation = activation::read(settings, "hidden_act", usual)?;
        Ok(GatedMlp::new(self.feed_forward, activation))
    }

    /// Layers that are all alike but for what `change` does to those of a number.
    pub(super) fn layers(
        &self,
        attention: &Attention,
        mlp: impl Into<Mlp>,
        change: impl Fn(usize, &mut DecoderLayer),
    ) -> Vec<DecoderLayer> {
        let layer = DecoderLayer {
            attention: attention.clone(),
            instead: None,
            mlp: mlp.into(),
            beside: None,
        };
        let mut layers = vec![layer; self.layers];
        for (index, layer) in layers.iter_mut().enumerate() {
            change(index, layer);
        }
        layers
    }

    /// The decoder of these layers, without factors.
    pub(super) fn decoder(
        &self,
        settings: &mut Settings,
        layers: Vec<DecoderLayer>,
    ) -> Result<Architecture, ModelError> {
        self.plain(settings, layers).map(Architecture::from)
    }

    /// The same with norms where `arrangement` has them.
    pub(super) fn arranged(
        &self,
        settings: &mut Settings,
        arrangement: Arrangement,
        layers: Vec<DecoderLayer>,
    ) -> Result<Architecture, ModelError> {
        let decoder = Decoder {
            arrangement,
            ..self.plain(settings, layers)?
        };
        Ok(decoder.into())
    }

    /// The same, for families that change it.
    pub(super) fn plain(
        &self,
        settings: &mut Settings,
        layers: Vec<DecoderLayer>,
    ) -> Result<Decoder, ModelError> {
        Ok(Decoder {
            width: self.width,
            vocabulary: settings.vocabulary()?,
            context: self.context,
            tied: settings.tied()?,
            norm: self.norm,
            layers,
            embedding_scale: 1.0,
            branch_scale: 1.0,
            logit_scale: 1.0,
            soft_cap: None,
            arrangement: Arrangement::PRE,
            per_layer: None,
            layer_scale: false,
        })
    }
}
