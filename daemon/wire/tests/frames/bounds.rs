//! What is beyond a bound is refused, and the refusal names the bound.

use mains_contract::BlockFormat;
use mains_types::{Digest, Prompt, Started, TensorFacts};
use mains_wire::frames::{
    ConvertOrder, DaemonHello, Frame, FrameError, FromWorker, PackOrder, Role, ToWorker, bounds, decode,
    encode,
};

use crate::samples;

/// Encodes without a check, as a hostile worker does, and gives the bound that decoding names.
fn refused<F: Frame + std::fmt::Debug>(frame: F) -> &'static str {
    match decode::<F>(&encode(frame).unwrap()).unwrap_err() {
        FrameError::Bound { what, .. } | FrameError::Invalid { what, .. } => what,
        other => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn chunks_are_bounded() {
    let chunk = samples::chunk;
    let number = 1;

    let mut many_ids = chunk();
    many_ids.ids = vec![1; bounds::CHUNK_IDS + 1];
    assert_eq!(
        refused(FromWorker::Tokens {
            number,
            chunk: many_ids
        }),
        "tokens.ids"
    );

    let mut much_text = chunk();
    much_text.text = "a".repeat(bounds::CHUNK_TEXT_BYTES + 1);
    assert_eq!(
        refused(FromWorker::Tokens {
            number,
            chunk: much_text
        }),
        "tokens.text"
    );

    let mut many_tops = chunk();
    many_tops.logprobs[0].top = vec![(1, vec![], -1.0); bounds::TOP_LOGPROBS + 1];
    assert_eq!(
        refused(FromWorker::Tokens {
            number,
            chunk: many_tops
        }),
        "logprob.top"
    );

    for bad in [f32::NAN, f32::INFINITY] {
        let mut chunk = chunk();
        chunk.logprobs[0].logprob = bad;
        assert_eq!(refused(FromWorker::Tokens { number, chunk }), "logprob");
    }
}

#[test]
fn facts_are_bounded() {
    let mut facts = samples::facts();
    let tensor = TensorFacts {
        name: String::new(),
        ..facts.tensors[0].clone()
    };
    facts.tensors = vec![tensor; bounds::TENSORS + 1];
    facts.products = vec![facts.products[0]; bounds::TENSORS + 1];
    assert_eq!(refused(FromWorker::Facts(Box::new(facts))), "facts.tensors");

    let mut facts = samples::facts();
    facts.tensors[0].name = "a".repeat(bounds::NAME_BYTES + 1);
    assert_eq!(refused(FromWorker::Facts(Box::new(facts))), "tensor.name");

    let mut facts = samples::facts();
    facts.products.clear();
    assert_eq!(refused(FromWorker::Facts(Box::new(facts))), "facts.products");

    for (after_layer, part) in [(3, 1), (u32::MAX, 1), (1, 2)] {
        let mut facts = samples::facts();
        facts.borders[0].after_layer = after_layer;
        facts.parts[0] = (0, part);
        let what = if part > 1 { "facts.parts" } else { "facts.borders" };
        assert_eq!(refused(FromWorker::Facts(Box::new(facts))), what);
    }

    let mut facts = samples::facts();
    facts.costs[0].runs[0].pop();
    assert_eq!(refused(FromWorker::Facts(Box::new(facts))), "facts.costs.runs");

    let mut facts = samples::facts();
    facts.block_tokens = 0;
    assert_eq!(refused(FromWorker::Facts(Box::new(facts))), "facts.block_tokens");
}

#[test]
fn requests_are_bounded() {
    let mut request = samples::generate();
    request.prompts = vec![Prompt::Ids(Vec::new()); bounds::PROMPTS + 1];
    assert_eq!(refused(ToWorker::Generate(1, request)), "generate.prompts");

    let mut request = samples::generate();
    request.n = 0;
    assert_eq!(refused(ToWorker::Generate(1, request)), "generate");

    let mut request = samples::generate();
    request.sampling.temperature = Some(f32::NAN);
    assert_eq!(refused(ToWorker::Generate(1, request)), "temperature");
}

#[test]
fn more_cached_than_prompt_is_refused() {
    let started = Started {
        prompt_tokens: 1,
        cached_tokens: 2,
        variant: String::new(),
    };
    assert_eq!(
        refused(FromWorker::Started { number: 1, started }),
        "started.cached_tokens"
    );
}

#[test]
fn oversize_and_trailing_bytes_are_refused() {
    let error = encode(FromWorker::Error("a".repeat(bounds::FROM_WORKER_BYTES))).unwrap_err();
    assert!(matches!(error, FrameError::Oversize { .. }), "{error}");
    let error = decode::<FromWorker>(&vec![0; bounds::FROM_WORKER_BYTES + 1]).unwrap_err();
    assert!(matches!(error, FrameError::Oversize { .. }), "{error}");
    let mut bytes = encode(FromWorker::Pong(1)).unwrap().to_vec();
    bytes.push(0);
    assert!(matches!(
        decode::<FromWorker>(&bytes),
        Err(FrameError::Trailing(1))
    ));
}

#[test]
fn a_large_request_fits() {
    // The largest body that the interface takes, 8 MiB, all of it one prompt.
    let mut request = samples::generate();
    request.prompts = vec![Prompt::Text("a".repeat(8 << 20))];
    assert!(encode(ToWorker::Generate(1, request)).is_ok());
}

#[test]
fn another_version_or_role_is_told() {
    let mut hello = DaemonHello::new(Role::Run);
    assert!(hello.check(Role::Run).is_ok());
    assert!(matches!(
        hello.check(Role::Probe),
        Err(FrameError::Invalid { .. })
    ));
    hello.protocol += 1;
    assert!(matches!(hello.check(Role::Run), Err(FrameError::Version { .. })));
}

#[test]
fn files_are_bounded() {
    let order = |name: String, count, path: &str| {
        ToWorker::Convert(ConvertOrder {
            path: path.into(),
            formats: vec![(name, BlockFormat::Q4_K); count],
            importance: None,
            threads: 1,
        })
    };
    assert_eq!(
        refused(order(String::new(), bounds::TENSORS + 1, "/m")),
        "convert.formats"
    );
    assert_eq!(
        refused(order("a".repeat(bounds::NAME_BYTES + 1), 1, "/m")),
        "convert.name"
    );
    let long = "a".repeat(bounds::PATH_BYTES + 1);
    assert_eq!(refused(order(String::new(), 0, &long)), "path");
    assert_eq!(
        refused(FromWorker::Start(vec![0; bounds::PIECE_BYTES + 1])),
        "start"
    );
    let order = ToWorker::Pack(PackOrder {
        path: "/m".into(),
        weights: Digest([0; 32]),
        driver: "a".repeat(bounds::NAME_BYTES + 1),
    });
    assert_eq!(refused(order), "pack.driver");
    assert_eq!(
        refused(FromWorker::Piece(vec![0; bounds::PIECE_BYTES + 1])),
        "piece"
    );
    let name = "a".repeat(bounds::NAME_BYTES + 1);
    assert_eq!(refused(FromWorker::File { name, bytes: 0 }), "file.name");
    assert_eq!(refused(ToWorker::Unpack(long.into())), "path");
}

#[test]
fn measurements_of_sensitivity_are_bounded() {
    let mut many = samples::sensitivity();
    many.known = vec![(String::new(), 0.0); bounds::TENSORS + 1];
    assert_eq!(refused(ToWorker::Sensitivity(many)), "sensitivity.known");
    for (name, damage, what) in [
        ("a".repeat(bounds::NAME_BYTES + 1), 0.0, "group.name"),
        (String::new(), f64::NAN, "group.damage"),
        (String::new(), -1.0, "group.damage"),
    ] {
        assert_eq!(refused(FromWorker::Group { name, damage }), what);
    }
}
