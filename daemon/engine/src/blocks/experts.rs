//! A mixture of experts (arXiv 2101.03961), with experts that every token uses beside the chosen ones (arXiv
//! 2401.06066).

use mains_contract::{Activation, ExpertGroups, GraphBuilder, GraphError, Op, Scoring, ValueId};

use super::GatedMlp;

/// A router, experts that are gated feed-forward parts, and possibly a shared one.
#[derive(Debug, Clone, PartialEq)]
pub struct Experts {
    /// Experts to choose from.
    pub experts: usize,
    /// How many a token uses.
    pub used: usize,
    /// Numbers between an expert's projections.
    pub width: usize,
    /// The gates' function.
    pub activation: Activation,
    /// How the router's logits become scores.
    pub scoring: Scoring,
    /// Whether the weights of the chosen sum to 1 before `scale`.
    pub normalise: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Only experts of the best groups are chosen, when there are groups.
    pub groups: Option<ExpertGroups>,
    /// Whether a learned number an expert is added to its score for choosing only.
    pub choice_bias: bool,
    /// Whether router and projections have biases.
    pub biases: bool,
    /// Whether a learned number an expert multiplies its weight, last of all.
    pub scaled: bool,
    /// Whether each expert's gate and up, in that order, are one matrix called `ffn_gate_up_exps`.
    pub fused: bool,
    /// The expert that every token uses.
    pub shared: Option<SharedExpert>,
}

/// An expert that is added for every token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedExpert {
    /// Numbers between its projections.
    pub width: usize,
    /// Whether it is multiplied by the sigmoid of a learned product with the input.
    pub gated: bool,
}

impl Experts {
    /// Experts chosen by the softmax of the router's logits, with weights that sum to 1: arXiv 2401.04088.
    #[must_use]
    pub const fn by_softmax(experts: usize, used: usize, width: usize) -> Self {
        Self {
            experts,
            used,
            width,
            activation: Activation::Silu,
            scoring: Scoring::Softmax,
            normalise: true,
            scale: 1.0,
            groups: None,
            choice_bias: false,
            biases: false,
            scaled: false,
            fused: false,
            shared: None,
        }
    }

    /// Adds the part of the layer called `layer` (such as `blk.0`) on `input`, `model_width` wide.
    pub(super) fn push(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        self.push_routed(graph, layer, model_width, [input, input])
    }

    /// The same where the router sees another input than the experts.
    pub(super) fn push_routed(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        [routed, input]: [ValueId; 2],
    ) -> Result<ValueId, GraphError> {
        let route = self.push_route(graph, layer, model_width, routed)?;
        let [gate, up] = self.push_gate_up(graph, layer, model_width, [input, route])?;
        let gated = Op::Gated {
            activation: self.activation,
        };
        let hidden = graph.push(gated, &[gate, up])?;
        let down = self.push_expert(graph, layer, "down", [model_width, self.width], [hidden, route])?;
        let sum = graph.push(Op::CombineExperts { used: self.used }, &[down, route])?;
        let Some(shared) = &self.shared else {
            return Ok(sum);
        };
        let shared = self.push_shared(graph, layer, model_width, *shared, input)?;
        graph.push(Op::Add, &[sum, shared])
    }

    fn push_gate_up(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        inputs: [ValueId; 2],
    ) -> Result<[ValueId; 2], GraphError> {
        let mut expert =
            |name: &str, outputs: usize| self.push_expert(graph, layer, name, [outputs, model_width], inputs);
        if !self.fused {
            return Ok([expert("gate", self.width)?, expert("up", self.width)?]);
        }
        let both = expert("gate_up", 2 * self.width)?;
        let part = |index: usize| Op::Slice {
            group: 2 * self.width,
            start: index * self.width,
            width: self.width,
        };
        Ok([graph.push(part(0), &[both])?, graph.push(part(1), &[both])?])
    }

    fn push_route(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let router = Op::Linear {
            weight: graph.weight(&format!("{layer}.ffn_gate_inp.weight"), self.experts, model_width)?,
            bias: vector(
                graph,
                self.biases,
                &format!("{layer}.ffn_gate_inp.bias"),
                1,
                self.experts,
            )?,
        };
        let logits = graph.push(router, &[input])?;
        let route = Op::Route {
            experts: self.experts,
            used: self.used,
            scoring: self.scoring,
            normalise: self.normalise,
            scale: self.scale,
            groups: self.groups,
            bias: vector(
                graph,
                self.choice_bias,
                &format!("{layer}.exp_probs_b.bias"),
                1,
                self.experts,
            )?,
            expert_scale: vector(
                graph,
                self.scaled,
                &format!("{layer}.ffn_down_exps.scale"),
                1,
                self.experts,
            )?,
        };
        graph.push(route, &[logits])
    }

    /// One projection, `[outputs, inputs]` an expert. What comes out of a projection has a part an expert.
    fn push_expert(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        name: &str,
        [outputs, inputs]: [usize; 2],
        [input, route]: [ValueId; 2],
    ) -> Result<ValueId, GraphError> {
        let name = format!("{layer}.ffn_{name}_exps");
        let op = Op::ExpertLinear {
            weight: graph.weight(&format!("{name}.weight"), self.experts * outputs, inputs)?,
            bias: vector(graph, self.biases, &format!("{name}.bias"), self.experts, outputs)?,
            experts: self.experts,
            used: self.used,
            per_slot: name.ends_with("down_exps"),
        };
        graph.push(op, &[input, route])
    }

    fn push_shared(
        &self,
        graph: &mut GraphBuilder,
        layer: &str,
        model_width: usize,
        shared: SharedExpert,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let mlp = GatedMlp::new(shared.width, self.activation);
        let output = mlp.push_named(graph, layer, "_shexp", model_width, input)?;
        if !shared.gated {
            return Ok(output);
        }
        let weight = graph.weight(&format!("{layer}.ffn_gate_inp_shexp.weight"), 1, model_width)?;
        let gate = graph.push(Op::Linear { weight, bias: None }, &[input])?;
        let activation = Activation::Sigmoid;
        let gate = graph.push(Op::Activate { activation }, &[gate])?;
        graph.push(Op::Multiply, &[output, gate])
    }
}

fn vector(
    graph: &mut GraphBuilder,
    is_there: bool,
    name: &str,
    rows: usize,
    cols: usize,
) -> Result<Option<mains_contract::WeightId>, GraphError> {
    is_there.then(|| graph.weight(name, rows, cols)).transpose()
}
