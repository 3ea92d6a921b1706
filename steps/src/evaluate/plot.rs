//! The predictions against the truth, as a Vega-Lite specification with its data in it.

use serde_json::{Value as Json, json};

use crate::StepError;
use crate::predict::{Predicted, Predictor, places};
use crate::scores::largest;
use crate::table::Frame;

/// A plot with more points than this is only heavier.
const MOST_POINTS: usize = 2000;

/// The plot of a model's predictions for these rows.
pub(super) fn plot(predictor: &Predictor, frame: &Frame, predicted: &Predicted) -> Result<Json, StepError> {
    match (predicted, predictor.classes()) {
        (Predicted::Shares { classes: count, shares }, Some(classes)) => {
            let truth = places(frame, predictor.target(), classes)?;
            let guess: Vec<usize> = shares.chunks_exact(*count).map(largest).collect();
            Ok(confusion(predictor.target(), &classes.names(), &truth, &guess))
        }
        (Predicted::Numbers(values) | Predicted::Shares { shares: values, .. }, _) => {
            Ok(scatter(predictor.target(), frame.complete_numbers(predictor.target())?, values))
        }
    }
}

/// A point for each row, evenly thinned out, and the line on which a perfect model would have them all.
fn scatter(target: &str, truth: &[f64], predicted: &[f64]) -> Json {
    let every = truth.len().div_ceil(MOST_POINTS).max(1);
    let pairs = truth.iter().zip(predicted).step_by(every);
    let points: Vec<Json> =
        pairs.map(|(truth, predicted)| json!({ "actual": truth, "predicted": predicted })).collect();
    let all = || truth.iter().chain(predicted).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let axis = |field: &str, title: String| json!({ "field": field, "type": "quantitative", "title": title, "scale": { "zero": false } });
    let actual = axis("actual", format!("{target}, actual"));
    let guess = axis("predicted", format!("{target}, predicted"));
    json!({
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": format!("{target}: predicted against actual"),
        "width": 400,
        "height": 400,
        "layer": [
            {
                "data": { "values": points },
                "mark": { "type": "point", "tooltip": true },
                "encoding": { "x": actual, "y": guess }
            },
            {
                "data": { "values": [
                    { "actual": low, "predicted": low },
                    { "actual": high, "predicted": high }
                ] },
                "mark": { "type": "line", "strokeDash": [4, 4], "color": "gray" },
                "encoding": { "x": actual, "y": guess }
            }
        ]
    })
}

/// How many rows of each class were taken for which.
fn confusion(target: &str, names: &[String], truth: &[usize], guess: &[usize]) -> Json {
    let mut counts = vec![0_u64; names.len() * names.len()];
    truth.iter().zip(guess).for_each(|(truth, guess)| counts[truth * names.len() + guess] += 1);
    let cell = |(place, rows): (usize, &u64)| {
        let (truth, guess) = (&names[place / names.len()], &names[place % names.len()]);
        json!({ "actual": truth, "predicted": guess, "rows": rows })
    };
    let cells: Vec<Json> = counts.iter().enumerate().map(cell).collect();
    let axis = |field: &str| json!({ "field": field, "type": "nominal", "sort": null });
    json!({
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": format!("{target}: predicted against actual"),
        "data": { "values": cells },
        "encoding": { "x": axis("predicted"), "y": axis("actual") },
        "layer": [
            { "mark": "rect", "encoding": { "color": { "field": "rows", "type": "quantitative" } } },
            { "mark": "text", "encoding": { "text": { "field": "rows", "type": "quantitative" } } }
        ]
    })
}
