use super::*;
use crate::backbone::PlainConfig;
use crate::calibration::{Curve, MAX_KNOTS};
use crate::regions::{Pooling, WindowGrid};

fn windows(grids: &[(usize, f64)]) -> RegionPooling {
    let grids = grids.iter().map(|&(count, fraction)| WindowGrid { count, fraction }).collect();
    RegionPooling::Windows { grids, pooling: Pooling::Max, normalise: false }
}

fn fine(bits: Option<usize>) -> FineConfig {
    let channel = |query, target, transposed| Channel { query, target, transposed };
    FineConfig {
        dims: 128,
        attention: Attention::None,
        bits,
        symmetric: false,
        channels: Some(vec![
            channel([0, 9], [0, 9], false),
            channel([9, 10], [10, 35], false),
            channel([10, 35], [9, 10], true),
        ]),
        comparator: ComparatorConfig { channels: [3, 8, 8, 8], padding: PaddingMode::Zero, edge: PoolEdge::Keep },
        direct: false,
    }
}

/// Two scales of 10 and 25 regions, and networks that use them.
fn two_scales() -> Config {
    Config {
        preprocess: Some(Preprocess::square(112)),
        backbone: Some(BackboneConfig::tiny()),
        regions: Some(windows(&[(3, 0.5), (1, 1.0)])),
        further_scales: vec![Scale { preprocess: Preprocess::square(224), regions: windows(&[(3, 0.5), (4, 0.5)]) }],
        fine_attention: Some(FineConfig { attention: Attention::H, direct: true, ..fine(None) }),
        fine_binary: Some(fine(Some(128))),
        coarse: Some(CoarseConfig {
            dims: 128,
            attention: true,
            regions: Some([0, 10]),
            transformer: None,
            netvlad: None,
        }),
        selector: Some(SelectorConfig {
            dims: 128,
            regions: Some([0, 9]),
            comparator: ComparatorConfig { channels: [1, 8, 8, 8], padding: PaddingMode::Zero, edge: PoolEdge::Drop },
            hidden: 10,
            layers: 1,
        }),
        ..Config::default()
    }
}

#[test]
fn configurations_come_back_from_json() {
    let config = two_scales();
    config.validate().unwrap();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{json}");
    assert!(json.contains(r#"{"query":[10,35],"target":[9,10],"transposed":true}"#), "{json}");
}

/// A manifest as it was written before there were scales and channels: it parses, and is written as it was.
#[test]
fn old_configurations_stay_as_they_are() {
    let old = r#"{"preprocess":{"resize":{"short_side":256},"filter":"opencv_cubic","crop":224,"divisor":255.0,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"backbone":{"resnet":{"blocks":[3,4,6,3],"stem":64,"width":64,"expansion":4}},"regions":{"l3_imac":{"kernels":[28,14,6,3]}},"whitening":{"input":3840,"dims":512},"teacher":{"dims":512,"attention":"l2","symmetric":true,"comparator":{"channels":[1,32,64,128],"padding":"replicate"}},"fine_binary":{"dims":512,"attention":"none","bits":512,"symmetric":false,"comparator":{"channels":[1,32,64,128],"padding":"zero"}},"coarse":{"dims":512,"attention":true,"transformer":{"heads":8,"feedforward":2048,"layers":1},"netvlad":{"clusters":64,"output":1024}},"selector":{"dims":512,"comparator":{"channels":[1,32,64,128],"padding":"zero"},"hidden":100,"layers":1}}"#;
    let config: Config = serde_json::from_str(old).unwrap();
    config.validate().unwrap();
    assert_eq!(serde_json::to_string(&config).unwrap(), old);
    assert_eq!(config.region_count().unwrap(), Some(9));
    let binary = config.fine(Network::FineBinary).unwrap();
    assert_eq!((binary.channel_count(), binary.regions_needed()), (1, 1));
    let all = Channel { query: [0, 12], target: [0, 12], transposed: false };
    assert_eq!(*binary.channels_of(12), [all]);
    assert!(config.fine(Network::Coarse).is_none());
}

#[test]
fn regions_of_scales() {
    let config = two_scales();
    assert_eq!(config.region_ranges().unwrap(), Some(vec![0..10, 10..35]));
    assert_eq!(config.region_count().unwrap(), Some(35));
    assert_eq!(config.scales().map(|s| s.len()), Some(2));
    assert_eq!(Config::default().region_count().unwrap(), None);

    // The grid of L3-iMAC depends on the size of the input, which not every preprocessing fixes.
    let l3 = RegionPooling::L3Imac { kernels: vec![14, 6, 3] };
    let mut config = Config { regions: Some(l3), ..config };
    // 112 pixels: taps of 28, 14 and 7 pixels, windows of 3 at stride 2 on the last.
    assert_eq!(config.region_ranges().unwrap(), Some(vec![0..9, 9..34]));
    config.preprocess = Some(Preprocess { crop: Some(112), ..Preprocess::imagenet(112, 112) });
    assert_eq!(config.region_count().unwrap(), Some(34));
    config.preprocess = Some(Preprocess { crop: None, ..Preprocess::imagenet(112, 112) });
    assert_eq!(config.region_ranges().unwrap(), None);
    // Nothing can be said of what networks ask for, then: videos tell.
    config.validate().unwrap();
}

/// A change to a sound configuration, and what the refusal must say.
type Case = (fn(&mut Config), &'static str, &'static str);

#[test]
fn contradictions_are_refused_by_name() {
    fn channels(config: &mut Config) -> &mut Vec<Channel> {
        config.fine_binary.as_mut().and_then(|f| f.channels.as_mut()).unwrap()
    }
    let cases: [Case; 21] = [
        (|c| c.further_scales.clear(), "fine_attention.channels", "up to 35, but a frame has 10"),
        (|c| channels(c)[1].target[1] = 36, "fine_binary.channels", "up to 36, but a frame has 35"),
        (|c| c.coarse.as_mut().unwrap().regions = Some([0, 36]), "coarse.regions", "up to 36"),
        (|c| c.selector.as_mut().unwrap().regions = Some([40, 41]), "selector.regions", "up to 41"),
        (|c| c.coarse.as_mut().unwrap().regions = Some([3, 3]), "coarse.regions", "above the start"),
        (|c| c.selector.as_mut().unwrap().regions = Some([3, 2]), "selector.regions", "above the start"),
        (|c| channels(c)[2].query = [5, 5], "fine_binary", "channels[2].query"),
        (|c| channels(c)[0].target = [5, 4], "fine_binary", "channels[0].target"),
        (|c| channels(c)[0].target = [0, usize::MAX], "fine_binary", "at most 4096"),
        (|c| channels(c).clear(), "fine_binary", "`channels` is empty"),
        (|c| _ = channels(c).pop(), "fine_binary", "takes 3 channels, the network has 2"),
        (|c| c.fine_binary.as_mut().unwrap().channels = None, "fine_binary", "takes 3 channels, the network has 1"),
        (|c| c.fine_attention.as_mut().unwrap().symmetric = true, "fine_attention", "symmetric"),
        (
            |c| {
                let fine = c.fine_attention.as_mut().unwrap();
                (fine.symmetric, fine.channels, fine.comparator.channels[0]) = (true, None, 1);
            },
            "fine_attention",
            "no direct path",
        ),
        (|c| c.fine_binary.as_mut().unwrap().bits = Some(12), "fine_binary", "multiple of 8"),
        (|c| c.fine_binary.as_mut().unwrap().bits = Some(2048), "fine_binary", "at most 65535 bits"),
        (|c| c.regions = None, "further_scales", "need a first one"),
        (|c| c.preprocess = None, "further_scales", "need a first one"),
        (|c| c.further_scales = vec![c.further_scales[0].clone(); MAX_SCALES], "further_scales", "at most 8 are taken"),
        (
            |c| c.further_scales[0].regions = windows(&[(usize::MAX, 0.5)]),
            "further_scales[0]",
            "at most 4096 are taken",
        ),
        (
            |c| c.further_scales = vec![Scale { regions: windows(&[(45, 0.1)]), ..c.further_scales[0].clone() }; 3],
            "further_scales[2]",
            "at most 4096 are taken",
        ),
    ];
    for (i, (change, part, reason)) in cases.into_iter().enumerate() {
        let mut config = two_scales();
        change(&mut config);
        let error = config.validate().unwrap_err();
        assert!(error.part == part && error.to_string().contains(reason), "case {i}: {error}");
    }
    // Pooling that does not fit the backbone.
    let mut config = Config {
        backbone: Some(BackboneConfig::Plain(PlainConfig { stem: 4, stages: vec![6, 8], residual: true })),
        ..two_scales()
    };
    config.further_scales[0].regions = RegionPooling::L3Imac { kernels: vec![28, 14, 6, 3] };
    let message = config.validate().unwrap_err().to_string();
    assert!(message.contains("further_scales[0]") && message.contains("configured for 4 taps"), "{message}");
}

fn with_coarse(curve: Curve) -> (Config, Calibration) {
    let coarse = CoarseConfig { dims: 4, attention: false, regions: None, transformer: None, netvlad: None };
    let config = Config { coarse: Some(coarse), ..Config::default() };
    (config, Calibration { coarse: Some(curve), ..Calibration::default() })
}

#[test]
fn bad_curves_are_refused_by_name() {
    for (curve, part) in [
        (Curve::Logistic { a: 0.0, b: 0.0 }, "a = 0"),
        (Curve::Logistic { a: f32::NAN, b: 0.0 }, "finite"),
        (Curve::Logistic { a: 1.0, b: f32::INFINITY }, "finite"),
        (Curve::PiecewiseLinear { knots: vec![] }, "0 knots"),
        (Curve::PiecewiseLinear { knots: vec![[0.0, 0.0]; MAX_KNOTS + 1] }, "1025 knots"),
        (Curve::PiecewiseLinear { knots: vec![[0.0, 1.5]] }, "[0, 1.5]"),
        (Curve::PiecewiseLinear { knots: vec![[f32::NAN, 0.5]] }, "finite"),
        (Curve::PiecewiseLinear { knots: vec![[0.0, 0.1], [0.0, 0.2]] }, "increase"),
        (Curve::PiecewiseLinear { knots: vec![[0.0, 0.2], [1.0, 0.1]] }, "decrease"),
    ] {
        let (config, calibration) = with_coarse(curve);
        let message = calibration.validate(&config).unwrap_err().to_string();
        assert!(message.contains("calibration.coarse") && message.contains(part), "{message}");
    }
    let (_, calibration) = with_coarse(Curve::Logistic { a: 1.0, b: 0.0 });
    let message = calibration.validate(&Config::default()).unwrap_err().to_string();
    assert!(message.contains("no such network"), "{message}");
}
