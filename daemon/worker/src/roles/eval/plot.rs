//! Divergence against bytes as an SVG picture: a line through the choices of a table and a mark for each model.

use std::fmt::Write;

/// Size of the picture and of its margins in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 58.0;
/// About the width of a letter.
const LETTER: f64 = 7.6;
/// The least divergence that is drawn: less is the noise of float32.
const LEAST: f64 = 1e-9;

/// One model or choice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Bytes of weights.
    pub(super) bytes: u64,
    /// Nats a token, and the ends of its interval.
    pub(super) divergence: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// What a mark is called; points without a name make the line.
    pub(super) name: Option<String>,
}

impl Point {
    /// A point without a name.
    pub(super) fn on_line(bytes: u64, divergence: f64) -> Self {
        Self {
            bytes,
            divergence,
            low: divergence,
            high: divergence,
            name: None,
        }
    }
}

/// All that is drawn.
pub(super) struct Plot {
    pub(super) points: Vec<Point>,
}

/// From numbers to pixels; the divergence is on a logarithmic scale.
struct Axes {
    bytes: (f64, f64),
    decades: (i32, i32),
}

impl Axes {
    #[expect(clippy::cast_possible_truncation, reason = "decades of nats are few")]
    fn of(points: &[Point]) -> Self {
        let bytes = points.iter().map(|point| mebibytes(point.bytes));
        let (least, most) = bytes.fold((f64::INFINITY, 0.0_f64), |(least, most), one| {
            (least.min(one), most.max(one))
        });
        let room = ((most - least) * 0.08).max(most * 0.02).max(1e-6);
        let logs = || {
            points
                .iter()
                .flat_map(|point| [point.low, point.high])
                .map(|value| value.max(LEAST).log10())
        };
        let low = logs().fold(f64::INFINITY, f64::min).floor() as i32;
        let high = logs().fold(f64::NEG_INFINITY, f64::max).ceil() as i32;
        Self {
            bytes: (least - room, most + room),
            decades: (low, high.max(low + 1)),
        }
    }

    fn x(&self, mebibytes: f64) -> f64 {
        LEFT + (mebibytes - self.bytes.0) / (self.bytes.1 - self.bytes.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, divergence: f64) -> f64 {
        let (low, high) = (f64::from(self.decades.0), f64::from(self.decades.1));
        let share = (divergence.max(LEAST).log10() - low) / (high - low);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

impl Plot {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let axes = Axes::of(&self.points);
        let mut body = String::new();
        grid(&axes, &mut body);
        let mut line: Vec<&Point> = self.points.iter().filter(|point| point.name.is_none()).collect();
        line.sort_by_key(|point| point.bytes);
        if line.len() > 1 {
            let path: Vec<String> = line.iter().map(|point| place(&axes, point)).collect();
            add(
                &mut body,
                format_args!(
                    r##"<polyline points="{}" fill="none" stroke="#3465a4" stroke-width="2"/>"##,
                    path.join(" ")
                ),
            );
        }
        for point in &self.points {
            mark(&axes, point, &mut body);
        }
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="{LEFT}" y="24" font-size="15">Quality against bytes: lower and further left is better</text>
{body}</svg>
"##
        )
    }
}

fn grid(axes: &Axes, body: &mut String) {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for decade in axes.decades.0..=axes.decades.1 {
        let y = axes.y(10f64.powi(decade));
        add(
            body,
            format_args!(r##"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#dddddd"/>"##),
        );
        let at = y + 4.0;
        add(
            body,
            format_args!(
                r##"<text x="{}" y="{at:.1}" text-anchor="end">1e{decade}</text>"##,
                LEFT - 8.0
            ),
        );
    }
    let step = nice((axes.bytes.1 - axes.bytes.0) / 6.0);
    let mut tick = (axes.bytes.0 / step).ceil() * step;
    while tick <= axes.bytes.1 {
        let x = axes.x(tick);
        add(
            body,
            format_args!(r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" stroke="#eeeeee"/>"##),
        );
        let at = bottom + 18.0;
        add(
            body,
            format_args!(r##"<text x="{x:.1}" y="{at}" text-anchor="middle">{tick}</text>"##),
        );
        tick += step;
    }
    let (middle, below) = (LEFT.midpoint(right), HEIGHT - 16.0);
    add(
        body,
        format_args!(r##"<text x="{middle}" y="{below}" text-anchor="middle">weights, MiB</text>"##),
    );
    let centre = TOP.midpoint(bottom);
    add(
        body,
        format_args!(
            r##"<text x="20" y="{centre}" text-anchor="middle" transform="rotate(-90 20 {centre})">KL divergence, nats a token</text>"##
        ),
    );
}

fn mark(axes: &Axes, point: &Point, body: &mut String) {
    let (x, y) = (axes.x(mebibytes(point.bytes)), axes.y(point.divergence));
    let Some(name) = &point.name else {
        add(
            body,
            format_args!(r##"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="#3465a4"/>"##),
        );
        return;
    };
    let (low, high) = (axes.y(point.low), axes.y(point.high));
    add(
        body,
        format_args!(
            r##"<line x1="{x:.1}" y1="{low:.1}" x2="{x:.1}" y2="{high:.1}" stroke="#cc0000" stroke-width="2"/>"##
        ),
    );
    add(
        body,
        format_args!(r##"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="#cc0000"/>"##),
    );
    // Choices fall from the upper left to the lower right, so there is room to the right of a mark, and a halo where there is not.
    let has_room =
        x + 9.0 + LETTER * f64::from(u32::try_from(name.chars().count()).unwrap_or(u32::MAX)) < WIDTH;
    let (at, anchor) = if has_room {
        (x + 9.0, "start")
    } else {
        (x - 9.0, "end")
    };
    let (above, name) = (y - 8.0, escaped(name));
    for halo in [r##" stroke="#ffffff" stroke-width="4""##, ""] {
        add(
            body,
            format_args!(r##"<text x="{at:.1}" y="{above:.1}" text-anchor="{anchor}"{halo}>{name}</text>"##),
        );
    }
}

fn place(axes: &Axes, point: &Point) -> String {
    format!(
        "{:.1},{:.1}",
        axes.x(mebibytes(point.bytes)),
        axes.y(point.divergence)
    )
}

fn add(body: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(body, "{element}").expect("a string takes all that is written");
}

/// The step of 1, 2 or 5 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|nice| *nice >= step)
        .unwrap_or(step)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::{HEIGHT, Plot, Point, WIDTH, nice};

    #[test]
    fn everything_is_inside_the_picture() {
        let point = |bytes, divergence: f64, name: Option<&str>| Point {
            bytes,
            divergence,
            low: divergence / 2.0,
            high: divergence * 2.0,
            name: name.map(str::to_owned),
        };
        let points = vec![
            point(2 << 20, 4e-4, None),
            point(5 << 20, 0.0, None),
            point(3 << 20, 1e-5, Some("a<b")),
        ];
        let svg = Plot { points }.svg();
        assert!(svg.contains("a&lt;b") && svg.matches("<circle").count() == 3 && svg.contains("<polyline"));
        for (name, most) in [("cx=\"", WIDTH), ("cy=\"", HEIGHT)] {
            for part in svg.split(name).skip(1) {
                let value: f64 = part.split('"').next().unwrap().parse().unwrap();
                assert!((0.0..=most).contains(&value), "{name}{value}");
            }
        }
        let one = Plot {
            points: vec![point(1 << 20, 1e-3, Some("alone"))],
        }
        .svg();
        assert!(!one.contains("NaN") && !one.contains("inf"));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.3, 1.0, 1.1, 6.0].map(nice), [0.5, 1.0, 2.0, 10.0]);
    }
}
