//! A transformer layer with every operation, as small or odd as a test wants.

use std::sync::Arc;

use mains_contract::{
    Activation, BlockFormat, Graph, GraphBuilder, GraphError, Op, OutputName, RopePairing, StateSpec, ValueId,
};

/// Sizes of a layer.
#[derive(Debug, Clone)]
pub struct LayerShape {
    /// Rows of the table of embeddings, and outputs.
    pub vocabulary: usize,
    /// Numbers of a row.
    pub width: usize,
    /// Numbers between the two halves of the feed-forward part.
    pub inner: usize,
    /// Query heads.
    pub heads: usize,
    /// Key heads.
    pub kv_heads: usize,
    /// Numbers of a query and of a key.
    pub head_dim: usize,
    /// Numbers of a value.
    pub value_dim: usize,
    /// Pairs of a head that are rotated.
    pub pairs: usize,
    /// Which two numbers make one.
    pub pairing: RopePairing,
    /// Positions that a token sees.
    pub window: Option<usize>,
    /// The cache's type.
    pub state: BlockFormat,
}

impl Default for LayerShape {
    fn default() -> Self {
        Self {
            vocabulary: 40,
            width: 256,
            inner: 512,
            heads: 8,
            kv_heads: 2,
            head_dim: 32,
            value_dim: 32,
            pairs: 16,
            pairing: RopePairing::Halves,
            window: None,
            state: BlockFormat::F16,
        }
    }
}

/// Two layers of that shape, one state each, from token ids to logits of the selected rows. The output matrix is the
/// table of embeddings.
///
/// # Errors
/// [`GraphError`] when the shape contradicts itself.
pub fn layer(shape: &LayerShape) -> Result<Arc<Graph>, GraphError> {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("embd", shape.vocabulary, shape.width)?;
    let mut x = graph.push(Op::Embed { table }, &[])?;
    for index in 0..2 {
        x = attention(&mut graph, shape, index, x)?;
        x = feed_forward(&mut graph, shape, index, x)?;
    }
    let x = graph.push(Op::SelectRows, &[x])?;
    let x = norm(&mut graph, "norm", shape.width, x)?;
    let logits = graph.push(
        Op::Linear {
            weight: table,
            bias: None,
        },
        &[x],
    )?;
    graph.output(OutputName::Logits, logits);
    Ok(Arc::new(graph.build()))
}

fn attention(
    graph: &mut GraphBuilder,
    shape: &LayerShape,
    index: usize,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let state = graph.state(StateSpec::PerToken {
        key_width: shape.kv_heads * shape.head_dim,
        value_width: shape.kv_heads * shape.value_dim,
        format: shape.state,
        window: shape.window,
        shared_with: None,
    });
    let normed = norm(graph, &format!("{index}.attn_norm"), shape.width, x)?;
    let q = linear(
        graph,
        &format!("{index}.q"),
        shape.heads * shape.head_dim,
        normed,
        true,
    )?;
    let k = linear(
        graph,
        &format!("{index}.k"),
        shape.kv_heads * shape.head_dim,
        normed,
        false,
    )?;
    let v = linear(
        graph,
        &format!("{index}.v"),
        shape.kv_heads * shape.value_dim,
        normed,
        false,
    )?;
    let q = norm(graph, &format!("{index}.q_norm"), shape.head_dim, q)?;
    let q = rope(graph, shape, q)?;
    let k = rope(graph, shape, k)?;
    let op = Op::Attention {
        state,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        head_dim: shape.head_dim,
        value_dim: shape.value_dim,
        scale: 1.0 / (shape.head_dim as f32).sqrt(),
        window: shape.window,
        soft_cap: None,
        sinks: None,
        causal: true,
        value_from_key: false,
    };
    let mixed = graph.push(op, &[q, k, v])?;
    let out = linear(graph, &format!("{index}.o"), shape.width, mixed, false)?;
    graph.push(Op::Add, &[x, out])
}

fn feed_forward(
    graph: &mut GraphBuilder,
    shape: &LayerShape,
    index: usize,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let normed = norm(graph, &format!("{index}.ffn_norm"), shape.width, x)?;
    let gate = linear(graph, &format!("{index}.gate"), shape.inner, normed, false)?;
    let up = linear(graph, &format!("{index}.up"), shape.inner, normed, false)?;
    let gated = graph.push(
        Op::Gated {
            activation: Activation::Silu,
        },
        &[gate, up],
    )?;
    let down = linear(graph, &format!("{index}.down"), shape.width, gated, true)?;
    graph.push(Op::Add, &[x, down])
}

fn linear(
    graph: &mut GraphBuilder,
    name: &str,
    outputs: usize,
    x: ValueId,
    biased: bool,
) -> Result<ValueId, GraphError> {
    let cols = graph.width(x);
    let weight = graph.weight(name, outputs, cols)?;
    let bias = biased
        .then(|| graph.weight(&format!("{name}.bias"), 1, outputs))
        .transpose()?;
    graph.push(Op::Linear { weight, bias }, &[x])
}

fn norm(graph: &mut GraphBuilder, name: &str, group: usize, x: ValueId) -> Result<ValueId, GraphError> {
    let weight = graph.weight(name, 1, group)?;
    graph.push(
        Op::RmsNorm {
            weight: Some(weight),
            epsilon: 1e-6,
            group,
        },
        &[x],
    )
}

fn rope(graph: &mut GraphBuilder, shape: &LayerShape, x: ValueId) -> Result<ValueId, GraphError> {
    let exponents = (0..shape.pairs).map(|pair| pair as f32 / shape.pairs as f32);
    let op = Op::Rope {
        head_dim: shape.head_dim,
        inverse_frequencies: exponents.map(|exponent| 10_000_f32.powf(-exponent)).collect(),
        pairing: shape.pairing,
        scale: 1.0,
        start: 0,
    };
    graph.push(op, &[x])
}
