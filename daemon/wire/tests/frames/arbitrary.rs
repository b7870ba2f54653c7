//! Arbitrary frames within the bounds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

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
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

fn finite() -> impl Strategy<Value = f32> {
    -1e6_f32..1e6
}

fn bytes() -> impl Strategy<Value = Bytes> {
    any::<u64>().prop_map(Bytes)
}

fn format() -> impl Strategy<Value = BlockFormat> {
    select(BlockFormat::ALL.to_vec())
}

fn role() -> impl Strategy<Value = Role> {
    select(Role::ALL.to_vec())
}

fn path() -> impl Strategy<Value = PathBuf> {
    vec(any::<u8>(), 0..40).prop_map(|path| OsString::from_vec(path).into())
}

/// A frame to a worker.
pub(crate) fn to_worker() -> impl Strategy<Value = ToWorker> {
    let hello = (any::<u32>(), text(), role()).prop_map(|(protocol, build, role)| {
        ToWorker::Hello(DaemonHello {
            protocol,
            build,
            role,
        })
    });
    let inspect = (path(), vec(text(), 0..3), of(any::<[u8; 32]>())).prop_map(|(path, drivers, digest)| {
        let digest = digest.map(Digest);
        ToWorker::Inspect {
            path,
            drivers,
            digest,
        }
    });
    let load =
        (path(), plan(), of(path())).prop_map(|(path, plan, packed)| ToWorker::Load { path, plan, packed });
    let measure = (text(), any::<u32>(), bytes()).prop_map(|(driver, threads, bytes)| ToWorker::Measure {
        driver,
        threads,
        bytes,
    });
    let pack = (path(), any::<[u8; 32]>(), text()).prop_map(|(path, weights, driver)| {
        ToWorker::Pack(PackOrder {
            path,
            weights: Digest(weights),
            driver,
        })
    });
    let types = vec((text(), format()), 0..3);
    let convert =
        (path(), types, of(path()), any::<u32>()).prop_map(|(path, formats, importance, threads)| {
            ToWorker::Convert(ConvertOrder {
                path,
                formats,
                importance,
                threads,
            })
        });
    prop_oneof![
        hello,
        convert,
        sensitivity(),
        pack,
        path().prop_map(ToWorker::Unpack),
        (text(), any::<bool>()).prop_map(|(source, anew)| ToWorker::Probe { source, anew }),
        inspect,
        load,
        (any::<u64>(), generate()).prop_map(|(number, request)| ToWorker::Generate(number, request)),
        any::<u64>().prop_map(ToWorker::Cancel),
        any::<u64>().prop_map(ToWorker::Ping),
        Just(ToWorker::Shutdown),
        any::<u64>().prop_map(ToWorker::Pause),
        any::<u64>().prop_map(ToWorker::Resume),
        measure,
    ]
}

fn group() -> impl Strategy<Value = (String, f64)> {
    (text(), 0.0..10.0)
}

fn sensitivity() -> impl Strategy<Value = ToWorker> {
    let files = (path(), any::<[u8; 32]>(), of(path()));
    let bounds = (any::<[u32; 3]>(), 0..1_u64 << 40, any::<bool>());
    (files, bounds, vec(group(), 0..3)).prop_map(
        |((path, model, importance), ([threads, texts, groups], seconds, whole), known)| {
            ToWorker::Sensitivity(SensitivityOrder {
                path,
                model: Digest(model),
                importance,
                threads,
                texts,
                groups,
                time: Duration::from_secs(seconds),
                whole,
                known,
            })
        },
    )
}

/// A frame from a worker.
pub(crate) fn from_worker() -> impl Strategy<Value = FromWorker> {
    let wall = (text(), of(text())).prop_map(|(name, missing)| Wall { name, missing });
    let hello = (any::<(u32, u32)>(), text(), role(), vec(wall, 0..4)).prop_map(
        |((protocol, pid), build, role, walls)| {
            FromWorker::Hello(WorkerHello {
                protocol,
                build,
                role,
                pid,
                walls,
            })
        },
    );
    let footprint = arenas().prop_map(|footprint| FromWorker::Loaded { footprint });
    let number = any::<u64>;
    let reason = select(vec![FinishReason::Stop, FinishReason::Length]);
    prop_oneof![
        hello,
        report().prop_map(FromWorker::Report),
        facts().prop_map(|facts| FromWorker::Facts(Box::new(facts))),
        footprint,
        (number(), started()).prop_map(|(number, started)| FromWorker::Started { number, started }),
        (number(), chunk()).prop_map(|(number, chunk)| FromWorker::Tokens { number, chunk }),
        (number(), any::<u32>(), reason).prop_map(|(number, choice, reason)| FromWorker::Finished {
            number,
            choice: Choice(choice),
            reason
        }),
        number().prop_map(|number| FromWorker::Done { number }),
        (number(), error()).prop_map(|(number, error)| FromWorker::Failed { number, error }),
        number().prop_map(FromWorker::Pong),
        text().prop_map(FromWorker::Error),
        any::<(u32, u32)>().prop_map(|(done, of)| FromWorker::Measuring { done, of }),
        measured().prop_map(|measured| FromWorker::Measured(Box::new(measured))),
        any::<u64>().prop_map(|bytes| FromWorker::Writing { bytes }),
        vec(any::<u8>(), 0..100).prop_map(FromWorker::Piece),
        Just(FromWorker::Written),
        group().prop_map(|(name, damage)| FromWorker::Group { name, damage }),
        vec(any::<u8>(), 0..100).prop_map(FromWorker::Start),
        (text(), any::<u64>()).prop_map(|(name, bytes)| FromWorker::File { name, bytes }),
    ]
}

fn generate() -> impl Strategy<Value = Generate> {
    let end = prop_oneof![
        Just(ChatEnd::NewAnswer),
        Just(ChatEnd::LastMessage),
        Just(ChatEnd::WithinLastMessage)
    ];
    let chat = (text(), of(text()), of(text()), end).prop_map(|(messages, tools, variables, end)| {
        Prompt::Chat(ChatPrompt {
            messages,
            tools,
            variables,
            end,
        })
    });
    let prompt = prop_oneof![
        chat,
        text().prop_map(Prompt::Text),
        vec(any::<u32>(), 0..20).prop_map(Prompt::Ids)
    ];
    let names = (text(), text());
    let counts = (1..=128_u32, of(any::<u32>()), of(0..=20_u32));
    let rest = (vec(text(), 0..4), any::<bool>(), of(any::<u64>()));
    (names, vec(prompt, 1..4), counts, rest, sampling()).prop_map(
        |((id, model), prompts, (n, max_tokens, top_logprobs), (stop, echo, keep_alive_s), sampling)| {
            Generate {
                id,
                model,
                prompts,
                n,
                max_tokens,
                stop,
                top_logprobs,
                echo,
                sampling,
                keep_alive_s,
            }
        },
    )
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let bias = (any::<u32>(), finite()).prop_map(|(token, bias)| LogitBias { token, bias });
    let number = || of(finite());
    let numbers = [number(), number(), number(), number(), number(), number()];
    (numbers, of(any::<u32>()), vec(bias, 0..4), of(any::<u64>())).prop_map(
        |([temperature, top_p, min_p, frequency, presence, repetition], top_k, logit_bias, seed)| Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            frequency_penalty: frequency,
            presence_penalty: presence,
            repetition_penalty: repetition,
            logit_bias,
            seed,
        },
    )
}

fn arenas() -> impl Strategy<Value = Footprint> {
    [bytes(), bytes(), bytes(), bytes()].prop_map(|[weights, state, activations, scratch]| Footprint {
        weights,
        state,
        activations,
        scratch,
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    let segment = (text(), text(), any::<[u32; 3]>(), arenas()).prop_map(
        |(device, driver, [threads, first_layer, last_layer], bytes)| Segment {
            bytes,
            device,
            driver,
            threads,
            first_layer,
            last_layer,
        },
    );
    let tensor =
        (text(), format(), bytes()).prop_map(|(name, format, bytes)| PlannedTensor { name, format, bytes });
    let head = (text(), any::<[[u8; 32]; 2]>(), format(), text());
    let parts = (vec(segment, 0..3), vec(tensor, 0..3));
    (head, parts, any::<[u32; 5]>(), any::<[u64; 5]>()).prop_map(
        |((model, [variant, made], kv_format, host), (segments, tensors), counts, sizes)| {
            let [context, parallel, step_rows, block_tokens, blocks] = counts;
            let [weights, state, activations, scratch, runtime] = sizes.map(Bytes);
            Plan {
                model,
                variant: Digest(variant),
                weights: Digest(made),
                segments,
                host,
                context,
                parallel,
                step_rows,
                block_tokens,
                blocks,
                kv_format,
                bytes: PlanBytes {
                    weights,
                    state,
                    activations,
                    scratch,
                    runtime,
                },
                policy: Policy::default(),
                predicted: None,
                kl: None,
                gap: 0.0,
                tensors,
            }
        },
    )
}

fn footprint() -> impl Strategy<Value = FootprintModel> {
    any::<[u64; 11]>().prop_map(|sizes| {
        let [
            weights,
            state,
            sequence,
            row,
            output_row,
            scratch,
            scratch_row,
            scratch_token,
            table_entry,
            thread,
            thread_and_token,
        ] = sizes.map(Bytes);
        FootprintModel {
            weights,
            state_per_token: state,
            state_per_sequence: sequence,
            activations_per_row: row,
            activations_per_output_row: output_row,
            scratch,
            scratch_per_row: scratch_row,
            scratch_per_context_token: scratch_token,
            scratch_per_table_entry: table_entry,
            scratch_per_thread: thread,
            scratch_per_thread_and_context_token: thread_and_token,
        }
    })
}

/// The border before the last of so many layers, if there are two.
fn border(layers: u32, width: u32) -> Option<Border> {
    let after_layer = layers.checked_sub(2)?;
    Some(Border { after_layer, width })
}

/// Costs of a model with so many tensors and borders, one at the most.
fn driver_costs(
    (driver, model, format): (String, FootprintModel, BlockFormat),
    tensors: usize,
    borders: usize,
) -> DriverCosts {
    let shared = SharedCosts {
        tensor: 0,
        earlier: vec![(format, model)],
        later: Vec::new(),
    };
    DriverCosts {
        driver,
        kv: vec![(format, model)],
        runs: vec![vec![model; 3]; borders],
        shared: vec![shared; borders.min(tensors)],
        formats: FormatCosts {
            base: model,
            kinds: vec![vec![(format, model)]],
            kind_of: vec![0; tensors],
        },
    }
}

/// A tensor, and how much of it a token is multiplied by.
fn tensor() -> impl Strategy<Value = (TensorFacts, Products)> {
    (text(), format(), any::<[u64; 4]>()).prop_map(
        |(name, format, [rows, cols, per_token, per_output_row])| {
            let products = Products {
                per_token,
                per_output_row,
            };
            let tensor = TensorFacts {
                name,
                format,
                rows,
                cols,
            };
            (tensor, products)
        },
    )
}

fn facts() -> impl Strategy<Value = ModelFacts> {
    let head = (text(), any::<[u8; 32]>(), any::<bool>(), sampling_defaults());
    let lists = (
        vec(tensor(), 0..3),
        vec((text(), footprint(), format()), 0..3),
        vec((text(), text()), 0..3),
    );
    (
        head,
        lists,
        any::<[u32; 4]>(),
        1..=u32::MAX,
        any::<([u64; 3], bool)>(),
    )
        .prop_map(
            |(
                (family, digest, chat, sampling),
                (tensors, costs, unsupported),
                counts,
                block_tokens,
                (sizes, is_cut),
            )| {
                let [layers, width, vocabulary, context] = counts;
                let (tensors, products): (Vec<_>, _) = tensors.into_iter().unzip();
                let count = tensors.len();
                let borders: Vec<Border> = is_cut
                    .then(|| border(layers, width))
                    .flatten()
                    .into_iter()
                    .collect();
                let last = u32::try_from(borders.len()).unwrap();
                let costs = costs
                    .into_iter()
                    .map(|costs| driver_costs(costs, count, borders.len()));
                let [file_bytes, parameters, runtime] = sizes;
                ModelFacts {
                    family,
                    digest: Digest(digest),
                    file_bytes: Bytes(file_bytes),
                    parameters,
                    layers,
                    width,
                    vocabulary,
                    context,
                    chat,
                    sampling,
                    tensors,
                    products,
                    costs: costs.collect(),
                    parts: vec![(0, last); count],
                    borders,
                    unsupported,
                    block_tokens,
                    runtime: RuntimeModel {
                        fixed: Bytes(runtime),
                        per_sequence: Bytes(parameters),
                        per_block: Bytes(file_bytes),
                    },
                    about: mains_types::About::default(),
                    sensitivity: None,
                    importance: None,
                }
            },
        )
}

fn sampling_defaults() -> impl Strategy<Value = SamplingDefaults> {
    let number = || of(finite());
    (number(), of(any::<u32>()), number(), number(), number()).prop_map(
        |(temperature, top_k, top_p, min_p, repetition_penalty)| SamplingDefaults {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
        },
    )
}

fn started() -> impl Strategy<Value = Started> {
    (any::<(u32, u32)>(), text()).prop_map(|((a, b), variant)| Started {
        prompt_tokens: a.max(b),
        cached_tokens: a.min(b),
        variant,
    })
}

fn chunk() -> impl Strategy<Value = TokenChunk> {
    let logprob = || prop_oneof![finite(), Just(f32::NEG_INFINITY)];
    let token = || vec(any::<u8>(), 0..8);
    let top = vec((any::<u32>(), token(), logprob()), 0..20);
    let tokens = (any::<u32>(), token(), logprob(), top).prop_map(|(id, bytes, logprob, top)| TokenLogprob {
        id,
        bytes,
        logprob,
        top,
    });
    (any::<u32>(), vec(any::<u32>(), 0..8), text(), vec(tokens, 0..3)).prop_map(
        |(choice, ids, text, logprobs)| TokenChunk {
            choice: Choice(choice),
            ids,
            text,
            logprobs,
        },
    )
}

fn error() -> impl Strategy<Value = GenerationError> {
    use GenerationErrorKind as Kind;
    let kinds = vec![
        Kind::Invalid,
        Kind::ContextLength,
        Kind::UnknownModel,
        Kind::Overloaded,
        Kind::Unavailable,
        Kind::WorkerLost,
        Kind::Unmetered,
        Kind::Cancelled,
        Kind::ShuttingDown,
        Kind::Internal,
    ];
    (select(kinds), text(), of(text())).prop_map(|(kind, message, param)| GenerationError {
        kind,
        message,
        param,
    })
}

fn report() -> impl Strategy<Value = ProbeReport> {
    let problem = (text(), text()).prop_map(|(source, error)| Problem { source, error });
    (vec(device(), 0..3), vec(problem, 0..3))
        .prop_map(|(devices, problems)| ProbeReport { devices, problems })
}

fn driver() -> impl Strategy<Value = DriverFacts> {
    (text(), text(), text(), any::<u32>()).prop_map(|(name, version, kernels, threads)| DriverFacts {
        name,
        version,
        kernels,
        threads,
    })
}

fn measured() -> impl Strategy<Value = Measured> {
    let speed = || 1e-3..1e18_f64;
    let operations = btree_map(select(Precision::ALL.to_vec()), speed(), 0..=Precision::ALL.len());
    let since_1970 = (0..1_u64 << 40, 0..1_000_000_000_u32);
    (since_1970, driver(), speed(), operations, 0.0..10.0).prop_map(
        |((seconds, nanos), driver, read_bytes_per_s, operations_per_s, spread)| Measured {
            at: UNIX_EPOCH + Duration::new(seconds, nanos),
            driver,
            read_bytes_per_s,
            operations_per_s,
            spread,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    any::<[Option<u32>; 4]>().prop_map(|[generation, width, max_generation, max_width]| Link {
        generation,
        width,
        max_generation,
        max_width,
    })
}

fn ecc() -> impl Strategy<Value = EccErrors> {
    any::<[Option<u64>; 2]>().prop_map(|[corrected, uncorrected]| EccErrors {
        corrected,
        uncorrected,
    })
}

fn device() -> impl Strategy<Value = Device> {
    use DeviceKind::{Cpu, Gpu, IntegratedGpu, Npu, Software};
    use HealthState::{Degraded, Failed, Lost};
    let memory =
        (bytes(), of(bytes()), any::<bool>(), of(bytes())).prop_map(|(total, free, shared, host)| Memory {
            total,
            free,
            shared,
            host,
        });
    let runtime = (text(), of(text())).prop_map(|(name, version)| Runtime { name, version });
    let health = (
        select(vec![HealthState::Ok, Degraded, Failed, Lost]),
        vec(text(), 0..3),
    )
        .prop_map(|(state, reasons)| Health { state, reasons });
    let names = (text(), of(text()), text(), of(text()), of(text()), of(text()));
    let kind = select(vec![Cpu, Gpu, IntegratedGpu, Npu, Software]);
    let lists = [vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3)];
    let number = || of(-1e6..1e6_f64);
    let numbers = [number(), number(), number(), number(), number()];
    let readings = (
        numbers,
        of(link()),
        of(ecc()),
        of(vec(text(), 0..3)),
        vec(driver(), 0..3),
    );
    let parts = (kind, of(memory), of(runtime), health, of(text()));
    (names, parts, lists, readings).prop_map(
        |(
            (id, vendor, name, pci, uuid, parent),
            (kind, memory, runtime, health, because),
            lists,
            readings,
        )| {
            let [sources, usable_by, features] = lists;
            let (numbers, link, ecc, throttle, drivers) = readings;
            let [temperature_c, power_w, power_limit_w, energy_j, utilization] = numbers;
            Device {
                id,
                vendor,
                name,
                kind,
                pci,
                uuid,
                parent,
                memory,
                runtime,
                sources,
                usable_by,
                unusable_because: because,
                drivers,
                measured: None,
                features,
                temperature_c,
                power_w,
                power_limit_w,
                energy_j,
                utilization,
                link,
                ecc,
                throttle,
                health,
            }
        },
    )
}
