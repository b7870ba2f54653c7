//! One fixed frame of every variant, with every field set.

use std::time::{Duration, UNIX_EPOCH};

use mains_contract::{
    BlockFormat, Border, Bytes, Device, DeviceKind, DriverFacts, EccErrors, Footprint, FootprintModel,
    FormatCosts, Health, HealthState, Link, Measured, Memory, Precision, ProbeReport, Problem, Products,
    Runtime,
};
use mains_types::{
    ChatEnd, ChatPrompt, Choice, Digest, DriverCosts, FinishReason, Generate, GenerationError,
    GenerationErrorKind, LogitBias, ModelFacts, Plan, PlanBytes, PlannedTensor, Policy, Prompt, RuntimeModel,
    Sampling, SamplingDefaults, Segment, SharedCosts, Started, TensorFacts, TokenChunk, TokenLogprob,
};
use mains_wire::frames::{
    ConvertOrder, DaemonHello, FromWorker, PackOrder, Role, SensitivityOrder, ToWorker, Wall, WorkerHello,
};

/// Every frame to a worker, with a name.
pub(crate) fn to_worker() -> Vec<(&'static str, ToWorker)> {
    let path = || "/models/a.gguf".into();
    vec![
        (
            "to.hello",
            ToWorker::Hello(DaemonHello {
                protocol: 1,
                build: "b".to_owned(),
                role: Role::Run,
            }),
        ),
        (
            "to.probe",
            ToWorker::Probe {
                source: "nvml".to_owned(),
                anew: true,
            },
        ),
        (
            "to.inspect",
            ToWorker::Inspect {
                path: path(),
                drivers: vec!["cpu".to_owned()],
                digest: Some(Digest([7; 32])),
            },
        ),
        (
            "to.load",
            ToWorker::Load {
                path: path(),
                plan: plan(),
                packed: None,
            },
        ),
        ("to.generate", ToWorker::Generate(7, generate())),
        ("to.cancel", ToWorker::Cancel(7)),
        ("to.ping", ToWorker::Ping(300)),
        ("to.shutdown", ToWorker::Shutdown),
        ("to.pause", ToWorker::Pause(7)),
        ("to.resume", ToWorker::Resume(7)),
        (
            "to.measure",
            ToWorker::Measure {
                driver: "cpu".to_owned(),
                threads: 2,
                bytes: Bytes(1 << 30),
            },
        ),
        (
            "to.convert",
            ToWorker::Convert(ConvertOrder {
                path: path(),
                formats: vec![("output.weight".to_owned(), BlockFormat::Q4_K)],
                importance: Some(path()),
                threads: 2,
            }),
        ),
        ("to.sensitivity", ToWorker::Sensitivity(sensitivity())),
        (
            "to.pack",
            ToWorker::Pack(PackOrder {
                path: path(),
                weights: Digest([10; 32]),
                driver: "cpu".to_owned(),
            }),
        ),
        ("to.unpack", ToWorker::Unpack("/m/model.tar".into())),
    ]
}

/// Every frame from a worker, with a name.
pub(crate) fn from_worker() -> Vec<(&'static str, FromWorker)> {
    let (number, choice) = (7, Choice(1));
    let hello = WorkerHello {
        protocol: 1,
        build: "b".to_owned(),
        role: Role::Probe,
        pid: 42,
        walls: vec![
            Wall {
                name: "landlock".to_owned(),
                missing: None,
            },
            Wall {
                name: "seccomp".to_owned(),
                missing: Some("old kernel".to_owned()),
            },
        ],
    };
    let error = GenerationError {
        kind: GenerationErrorKind::ContextLength,
        message: "too long".to_owned(),
        param: Some("messages".to_owned()),
    };
    let footprint = Footprint {
        weights: Bytes(1),
        state: Bytes(2),
        activations: Bytes(3),
        scratch: Bytes(4),
    };
    let mut frames = vec![
        ("from.hello", FromWorker::Hello(hello)),
        ("from.report", FromWorker::Report(report())),
        ("from.facts", FromWorker::Facts(Box::new(facts()))),
        ("from.loaded", FromWorker::Loaded { footprint }),
        (
            "from.started",
            FromWorker::Started {
                number,
                started: Started {
                    prompt_tokens: 300,
                    cached_tokens: 5,
                    variant: "ab".to_owned(),
                },
            },
        ),
        (
            "from.tokens",
            FromWorker::Tokens {
                number,
                chunk: chunk(),
            },
        ),
        (
            "from.finished",
            FromWorker::Finished {
                number,
                choice,
                reason: FinishReason::Length,
            },
        ),
        ("from.done", FromWorker::Done { number }),
        ("from.failed", FromWorker::Failed { number, error }),
        ("from.pong", FromWorker::Pong(300)),
        ("from.error", FromWorker::Error("no such file".to_owned())),
        ("from.measuring", FromWorker::Measuring { done: 1, of: 300 }),
        ("from.measured", FromWorker::Measured(Box::new(measured()))),
    ];
    frames.extend(files());
    frames
}

/// What the role `convert` says.
fn files() -> Vec<(&'static str, FromWorker)> {
    vec![
        ("from.writing", FromWorker::Writing { bytes: 9 }),
        ("from.piece", FromWorker::Piece(vec![1, 2, 3])),
        ("from.written", FromWorker::Written),
        (
            "from.group",
            FromWorker::Group {
                name: "output.weight".to_owned(),
                damage: 0.25,
            },
        ),
        ("from.start", FromWorker::Start(vec![4, 5])),
        (
            "from.file",
            FromWorker::File {
                name: "config.json".to_owned(),
                bytes: 3,
            },
        ),
    ]
}

/// An order with every field set.
pub(crate) fn sensitivity() -> SensitivityOrder {
    SensitivityOrder {
        path: "/models/a.gguf".into(),
        model: Digest([8; 32]),
        importance: Some("/models/a.gguf".into()),
        threads: 2,
        texts: 24,
        groups: 256,
        time: Duration::new(7200, 5),
        whole: true,
        known: vec![("output.weight".to_owned(), 0.5)],
    }
}

/// A request with every field set.
pub(crate) fn generate() -> Generate {
    Generate {
        id: "cmpl-1".to_owned(),
        model: "pilot".to_owned(),
        prompts: vec![
            Prompt::Chat(ChatPrompt {
                messages: "[]".to_owned(),
                tools: Some("[1]".to_owned()),
                variables: Some("{}".to_owned()),
                end: ChatEnd::WithinLastMessage,
            }),
            Prompt::Text("a".to_owned()),
            Prompt::Ids(vec![1, 300]),
        ],
        n: 2,
        max_tokens: Some(16),
        stop: vec!["\n".to_owned()],
        top_logprobs: Some(3),
        echo: true,
        sampling: Sampling {
            temperature: Some(0.5),
            top_k: Some(40),
            top_p: Some(0.9),
            min_p: Some(0.1),
            frequency_penalty: Some(0.2),
            presence_penalty: Some(0.3),
            repetition_penalty: Some(1.1),
            logit_bias: vec![LogitBias {
                token: 5,
                bias: -100.0,
            }],
            seed: Some(11),
        },
        keep_alive_s: Some(60),
    }
}

/// A chunk with every field set.
pub(crate) fn chunk() -> TokenChunk {
    TokenChunk {
        choice: Choice(1),
        ids: vec![5],
        text: "é".to_owned(),
        logprobs: vec![TokenLogprob {
            id: 5,
            bytes: vec![0xc3, 0xa9],
            logprob: -0.25,
            top: vec![(5, vec![0xc3, 0xa9], -0.25), (6, vec![0x61], f32::NEG_INFINITY)],
        }],
    }
}

/// A plan with every field set.
pub(crate) fn plan() -> Plan {
    Plan {
        model: "pilot".to_owned(),
        variant: Digest([9; 32]),
        weights: Digest([10; 32]),
        segments: vec![Segment {
            device: "cpu".to_owned(),
            driver: "reference".to_owned(),
            threads: 2,
            first_layer: 0,
            last_layer: 3,
            bytes: Footprint {
                weights: Bytes(6),
                state: Bytes(7),
                activations: Bytes(8),
                scratch: Bytes(9),
            },
        }],
        host: "cpu".to_owned(),
        context: 2048,
        parallel: 8,
        step_rows: 256,
        block_tokens: 16,
        blocks: 1024,
        kv_format: BlockFormat::F16,
        bytes: PlanBytes {
            weights: Bytes(1),
            state: Bytes(2),
            activations: Bytes(3),
            scratch: Bytes(4),
            runtime: Bytes(5),
        },
        policy: Policy::default(),
        predicted: None,
        kl: None,
        gap: 0.0,
        tensors: vec![PlannedTensor {
            name: "output.weight".to_owned(),
            format: BlockFormat::Q4_K,
            bytes: Bytes(144),
        }],
    }
}

fn about() -> mains_types::About {
    mains_types::About {
        title: Some("Pilot".to_owned()),
        licence: Some("apache-2.0".to_owned()),
        tokenizer: Some("gpt2".to_owned()),
    }
}

fn output() -> TensorFacts {
    TensorFacts {
        name: "output.weight".to_owned(),
        format: BlockFormat::BF16,
        rows: 3000,
        cols: 256,
    }
}

/// Facts with every field set.
pub(crate) fn facts() -> ModelFacts {
    let model = FootprintModel {
        weights: Bytes(1),
        state_per_token: Bytes(2),
        state_per_sequence: Bytes(8),
        activations_per_row: Bytes(3),
        activations_per_output_row: Bytes(4),
        scratch: Bytes(5),
        scratch_per_row: Bytes(6),
        scratch_per_context_token: Bytes(7),
        scratch_per_table_entry: Bytes(9),
        scratch_per_thread: Bytes(10),
        scratch_per_thread_and_context_token: Bytes(11),
    };
    ModelFacts {
        family: "qwen3".to_owned(),
        digest: Digest([8; 32]),
        file_bytes: Bytes(1000),
        parameters: 500,
        layers: 4,
        width: 256,
        vocabulary: 3000,
        context: 2048,
        chat: true,
        sampling: SamplingDefaults {
            temperature: Some(0.6),
            top_k: Some(20),
            top_p: Some(0.95),
            min_p: Some(0.0),
            repetition_penalty: Some(1.0),
        },
        tensors: vec![output()],
        products: vec![Products {
            per_token: 1,
            per_output_row: 768_000,
        }],
        borders: vec![Border {
            after_layer: 1,
            width: 256,
        }],
        parts: vec![(0, 1)],
        costs: vec![DriverCosts {
            driver: "cpu".to_owned(),
            runs: vec![vec![model; 3]],
            shared: vec![SharedCosts {
                tensor: 0,
                earlier: vec![(BlockFormat::Q4_K, model)],
                later: vec![(BlockFormat::Q8_0, model)],
            }],
            kv: vec![(BlockFormat::F16, model)],
            formats: FormatCosts {
                base: model,
                kinds: vec![vec![(BlockFormat::Q4_K, model)]],
                kind_of: vec![0],
            },
        }],
        unsupported: vec![("vulkan".to_owned(), "no rope".to_owned())],
        block_tokens: 16,
        runtime: RuntimeModel {
            fixed: Bytes(1 << 20),
            per_sequence: Bytes(2),
            per_block: Bytes(3),
        },
        about: about(),
        sensitivity: None,
        importance: None,
    }
}

fn driver() -> DriverFacts {
    DriverFacts {
        name: "gpu".to_owned(),
        version: "0.1.0".to_owned(),
        kernels: "subgroups".to_owned(),
        threads: 1,
    }
}

/// A measurement with every field set.
fn measured() -> Measured {
    Measured {
        at: UNIX_EPOCH + Duration::new(2_000, 7),
        driver: driver(),
        read_bytes_per_s: 4.5e10,
        operations_per_s: [(Precision::Int8, 1e12), (Precision::F32, 1e11)].into(),
        spread: 0.125,
    }
}

fn report() -> ProbeReport {
    let device = Device {
        id: "gpu-1".to_owned(),
        vendor: Some("Maker".to_owned()),
        name: "Card".to_owned(),
        kind: DeviceKind::Gpu,
        pci: Some("0000:01:00.0".to_owned()),
        uuid: Some("GPU-1".to_owned()),
        parent: Some("gpu-0".to_owned()),
        memory: Some(Memory {
            total: Bytes(1 << 30),
            free: Some(Bytes(1 << 29)),
            shared: false,
            host: Some(Bytes(1 << 10)),
        }),
        runtime: Some(Runtime {
            name: "vulkan".to_owned(),
            version: Some("1.3".to_owned()),
        }),
        sources: vec!["vulkan".to_owned()],
        usable_by: vec!["gpu".to_owned()],
        unusable_because: Some("install its driver".to_owned()),
        drivers: vec![driver()],
        measured: None,
        features: vec!["f16".to_owned()],
        temperature_c: Some(40.5),
        power_w: Some(20.25),
        power_limit_w: Some(40.0),
        energy_j: Some(1.5),
        utilization: Some(0.5),
        link: Some(Link {
            generation: Some(4),
            width: Some(16),
            max_generation: Some(5),
            max_width: Some(8),
        }),
        ecc: Some(EccErrors {
            corrected: Some(2),
            uncorrected: Some(300),
        }),
        throttle: Some(vec!["heat".to_owned()]),
        health: Health {
            state: HealthState::Degraded,
            reasons: vec!["hot".to_owned()],
        },
    };
    ProbeReport {
        devices: vec![device],
        problems: vec![Problem {
            source: "nvidia".to_owned(),
            error: "no answer".to_owned(),
        }],
    }
}
