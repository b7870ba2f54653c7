//! Packed weights: every layout is a bijection, and a model on a mapped file is the same model.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::cell::Cell;
use std::path::Path;

use mains_conformance::families::{fixtures, load, open};
use mains_contract::{
    BlockFormat, Driver, DriverError, GraphBuilder, KeptWeight, Op, OutputName, PACKED_ALIGNMENT, Packer,
    StepLimits, WeightData, WeightSource,
};
use mains_driver_cpu::{CpuDriver, CpuOptions};
use mains_engine::models::{Cast, MadeWeights, Model, PackedWeights, write_packed};
use mains_engine::{logits_limits, logits_of};
use mains_formats::PackedFile;
use proptest::prelude::*;

fn driver() -> CpuDriver {
    CpuDriver::new(CpuOptions::default()).unwrap()
}

/// How the driver keeps a matrix of so many experts, or of one.
fn kept(
    driver: &dyn Packer,
    format: BlockFormat,
    (experts, rows, cols): (usize, usize, usize),
) -> KeptWeight {
    let mut graph = GraphBuilder::new();
    let table = graph.weight("table", 4, cols).unwrap();
    let router = graph.weight("router", experts, cols).unwrap();
    let weight = graph.weight("matrix", experts * rows, cols).unwrap();
    let x = graph.push(Op::Embed { table }, &[]).unwrap();
    let linear = |weight| Op::Linear { weight, bias: None };
    let y = if experts == 1 {
        graph.push(linear(weight), &[x]).unwrap()
    } else {
        let scores = graph.push(linear(router), &[x]).unwrap();
        let route = Op::Route {
            experts,
            used: 1,
            scoring: mains_contract::Scoring::Softmax,
            normalise: false,
            scale: 1.0,
            groups: None,
            bias: None,
            expert_scale: None,
        };
        let route = graph.push(route, &[scores]).unwrap();
        let product = Op::ExpertLinear {
            weight,
            bias: None,
            experts,
            used: 1,
            per_slot: false,
        };
        graph.push(product, &[x, route]).unwrap()
    };
    graph.output(OutputName::Logits, y);
    let kept = driver.kept(&graph.build(), &[BlockFormat::F32, BlockFormat::F32, format]);
    kept.into_iter().last().unwrap()
}

fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    (1_usize..4, 1_usize..40, 1_usize..3)
}

proptest! {
    #[test]
    fn unpacking_gives_back_every_bit(format in prop::sample::select(BlockFormat::ALL.to_vec()),
                                      (experts, rows, blocks) in shape(), seed: u64) {
        let driver = driver();
        let packer = driver.packer().unwrap();
        let cols = blocks * format.block_len().max(32);
        let kept = kept(packer, format, (experts, rows, cols));
        prop_assert!(kept.bytes.is_multiple_of(PACKED_ALIGNMENT) && kept.parts == experts);
        let mut state = seed;
        let count = experts * rows * format.row_bytes(cols).unwrap();
        // Any bytes are blocks.
        let bytes: Vec<u8> = (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let data = WeightData { format, rows: experts * rows, cols, bytes: &bytes };
        let mut packed = vec![0; kept.bytes];
        packer.pack(&kept, &data, &mut packed).unwrap();
        let mut back = vec![0xaa; bytes.len()];
        packer.unpack(&kept, &packed, &mut back).unwrap();
        prop_assert!(back == bytes, "{format}");
    }
}

#[test]
fn what_no_layout_says_is_refused() {
    let driver = driver();
    let packer = driver.packer().unwrap();
    let good = kept(packer, BlockFormat::Q4_K, (1, 16, 256));
    let bytes = vec![0; 16 * 144];
    let data = WeightData {
        format: BlockFormat::Q4_K,
        rows: 16,
        cols: 256,
        bytes: &bytes,
    };
    let refused = |kept: &KeptWeight, room: usize| {
        let mut out = vec![0; room];
        matches!(
            packer.pack(kept, &data, &mut out),
            Err(DriverError::Weight { .. })
        )
    };
    assert!(!refused(&good, good.bytes));
    assert!(refused(&good, good.bytes + 64));
    for bad in [
        KeptWeight {
            layout: "cpu.groups16.2".to_owned(),
            ..good.clone()
        },
        KeptWeight {
            parts: 3,
            ..good.clone()
        },
        KeptWeight {
            parts: 0,
            ..good.clone()
        },
        KeptWeight {
            bytes: good.bytes + 64,
            ..good.clone()
        },
        KeptWeight {
            format: BlockFormat::F16,
            ..good.clone()
        },
    ] {
        assert!(refused(&bad, bad.bytes), "{bad:?}");
    }
}

/// A model whose weights were packed to a file at `path`.
fn pack(model: &Model, path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    write_packed(model, &driver(), "variant", file, |_| ()).unwrap();
}

/// Weights that count how often they are asked for as a file has them, which is when they are made and kept.
struct Counted<'a> {
    weights: &'a dyn WeightSource,
    asked: &'a Cell<usize>,
}

impl WeightSource for Counted<'_> {
    fn weight(&self, name: &str) -> Result<WeightData<'_>, DriverError> {
        self.asked.set(self.asked.get() + 1);
        self.weights.weight(name)
    }

    fn format(&self, name: &str) -> Result<BlockFormat, DriverError> {
        self.weights.format(name)
    }
}

#[test]
fn a_model_on_a_mapped_file_has_the_same_bits_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<u32> = (5..45).collect();
    let limits: StepLimits = logits_limits(ids.len());
    for (family, format) in [
        ("qwen3", BlockFormat::Q8_0),
        ("qwen3_moe", BlockFormat::Q4_0),
        ("qwen3_next", BlockFormat::BF16),
    ] {
        let path = fixtures().join("families").join(family);
        let model = open(&path, BlockFormat::F16, Cast::Matrices(format));
        let packed = folder.path().join(family);
        pack(&model, &packed);
        let file = PackedFile::open(&packed).unwrap();
        assert_eq!((file.variant(), file.driver()), ("variant", "cpu"));
        let mut copied = load(&model, &driver(), &limits);
        let mut mapped = {
            // Nothing but the file is asked for bytes.
            let source = PackedWeights::new(&model.weights, Some(file));
            driver().load(model.graph.clone(), &source, &limits).unwrap()
        };
        // A mapping lives on without its name.
        std::fs::remove_file(&packed).unwrap();
        // Weights that are made on the way are packed one by one, and none of them is kept.
        let model = open(&path, BlockFormat::F16, Cast::Matrices(format));
        let (driver, asked) = (driver(), Cell::new(0));
        let mut made = {
            let counted = Counted {
                weights: &model.weights,
                asked: &asked,
            };
            let source = MadeWeights::new(&counted, &model.weights, driver.packer());
            driver.load(model.graph.clone(), &source, &limits).unwrap()
        };
        let few = model.graph.weights().len() / 2;
        assert!(
            format == BlockFormat::BF16 || asked.get() < few,
            "matrices are asked for packed only"
        );
        assert_eq!(copied.footprint(), mapped.footprint());
        assert_eq!(copied.footprint(), made.footprint());
        let vocabulary = model.info.vocabulary as usize;
        let [copied, mapped, made] = [&mut copied, &mut mapped, &mut made].map(|loaded| {
            let logits = logits_of(&mut **loaded, &limits, vocabulary, &ids).unwrap();
            logits.iter().map(|logit| logit.to_bits()).collect::<Vec<u32>>()
        });
        assert_eq!(copied, mapped, "{family}");
        assert_eq!(copied, made, "{family}");
    }
}

#[test]
fn damaged_weights_are_refused_and_others_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed");
    let fixture = fixtures().join("families/qwen3");
    let model = open(&fixture, BlockFormat::F16, Cast::Matrices(BlockFormat::Q8_0));
    pack(&model, &path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let limits = logits_limits(4);
    let on_file = |model: &Model| {
        let source = PackedWeights::new(&model.weights, Some(PackedFile::open(&path).unwrap()));
        driver().load(model.graph.clone(), &source, &limits)
    };
    let error = on_file(&model).err().unwrap().to_string();
    assert!(error.contains("damaged"), "{error}");
    bytes[5000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    // In another format the file has nothing that the driver would ask for but vectors: it is packed as without.
    let other = open(&fixture, BlockFormat::F16, Cast::Matrices(BlockFormat::Q4_0));
    assert_eq!(
        on_file(&other).unwrap().footprint(),
        load(&other, &driver(), &limits).footprint()
    );
}
