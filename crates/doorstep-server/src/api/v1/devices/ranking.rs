//! Ranks drivers' devices by what chance does not explain: a code that was typed and is not the one that
//! was sent passes a device's check so seldom that several of them say something about the driver.

use crate::context::Context;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::generations::CodeCheck;
use crate::store::ranking::{self, Compared, Counts};
use axum::Json;
use axum::extract::State;
use doorstep::handover::BUDGET;
use doorstep::odds::{self, SplitOdds};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const DAY: u64 = 24 * 3600;

/// Since when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RankDevices {
    /// Claims that came in during so many days, 1 to 3660; 90 when left out.
    #[param(minimum = 1, maximum = 3660)]
    days: Option<u64>,
}

/// What one device claimed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RankedDevice {
    device: String,
    driver: String,
    /// As of devices: `enrolled`, `forked`, ...
    state: String,
    /// Parcels that it says it handed over.
    granted: u64,
    /// With another code than the one that was sent.
    mismatches: u64,
    /// With one that is a single slip away.
    typos: u64,
    /// That came in after their window, so that only the device's clock says that they were in time.
    late: u64,
    /// That contradict its other claims.
    forks: u64,
    /// Attempts that it says failed.
    failed: u64,
    /// Mismatches and typos for each 1,000 parcels that it says it handed over.
    wrong_per_1000: f64,
    /// How likely so many mismatches and typos, or more, are if every customer had used up the attempts
    /// with wrong codes: an upper bound, computed. Near 1 says nothing; 0.000001 says that it was not
    /// chance.
    chance: f64,
}

/// All devices that claimed something, the least explained first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceRanking {
    days: u64,
    data: Vec<RankedDevice>,
}

/// Ranks devices by the claims that chance does not explain.
#[utoipa::path(get, path = "/v1/devices/ranking", tag = "devices", operation_id = "rank_devices",
    security(("api_key" = [])), params(RankDevices),
    responses((status = 200, description = "all devices that claimed something", body = DeviceRanking), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<RankDevices>,
) -> Result<Json<DeviceRanking>, Problem> {
    let days = query.days.unwrap_or(90);
    if !(1..=3660).contains(&days) {
        let told = format!("days: {days} is not between 1 and 3660");
        return Err(Problem::new(Code::InvalidQuery, told));
    }
    let since = context.now().earlier(days.saturating_mul(DAY));
    let (counts, compared) = context
        .store
        .read(move |connection| {
            Ok::<_, Problem>((
                ranking::counts(connection, since)?,
                ranking::compared(connection, since)?,
            ))
        })
        .await?;
    let mut data: Vec<RankedDevice> =
        counts.into_iter().map(|counts| ranked(counts, &compared)).collect();
    data.sort_by(|a, b| {
        a.chance.total_cmp(&b.chance).then(b.wrong_per_1000.total_cmp(&a.wrong_per_1000))
    });
    Ok(Json(DeviceRanking { days, data }))
}

fn ranked(counts: Counts, compared: &[Compared]) -> RankedDevice {
    let wrong = counts.mismatches.saturating_add(counts.typos);
    let (mut trials, mut expected) = (0_u64, 0.0);
    for kind in compared.iter().filter(|kind| kind.device == counts.device) {
        trials = trials.saturating_add(kind.claims);
        expected += odds::float(kind.claims) * each(kind);
    }
    // Of the odds of several kinds of codes their mean is an upper bound.
    let mean = if trials == 0 { 0.0 } else { expected / odds::float(trials) };
    let per_1000 = match counts.granted {
        0 => 0.0,
        granted => odds::float(wrong) * 1000.0 / odds::float(granted),
    };
    RankedDevice {
        wrong_per_1000: per_1000,
        chance: odds::at_least(wrong, trials, mean),
        device: counts.device,
        driver: counts.driver,
        state: counts.state,
        granted: counts.granted,
        mismatches: counts.mismatches,
        typos: counts.typos,
        late: counts.late,
        forks: counts.forks,
        failed: counts.failed,
    }
}

/// How likely a wrong code passes the device's check within all the attempts of a stop.
fn each(kind: &Compared) -> f64 {
    let bits = odds::tag_bits(kind.shape);
    let bits = match kind.check {
        CodeCheck::Split => bits,
        // The tag has half of a code's bits; this check has all.
        CodeCheck::Full => bits.saturating_mul(2),
    };
    SplitOdds::new(kind.shape, bits).guessed_within(BUDGET, kind.slots)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn whom_chance_does_not_explain_comes_first() {
        let server = TestServer::new().await;
        let (mut honest, forger, _) = server.disputed().await;
        let second = server.delivery("B").await;
        server.plan_at(&second, honest.id(), "2027-01-15T10:30:00Z").await;
        honest.sync(&server).await;
        server.run_jobs().await;
        let now = server.clock.now();
        honest.present(&second, &server.code(1), now).unwrap();
        honest.sync(&server).await;
        server.run_jobs().await;
        let (status, ranking) = server.get("/v1/devices/ranking").await;
        assert_eq!(status, 200, "{ranking}");
        let [first, last] = ranking["data"].as_array().unwrap().as_slice() else {
            panic!("{ranking}")
        };
        assert_eq!((&first["device"], &last["device"]), (&json!(forger.id()), &json!(honest.id())));
        assert_eq!((&first["mismatches"], &first["wrong_per_1000"]), (&json!(1), &json!(1000.0)));
        // Five attempts against the recipient and the spare, at 13 bits: 1.22e-3.
        let chance = first["chance"].as_f64().unwrap();
        assert!((chance - 1.220e-3).abs() < 1e-5, "{chance}");
        assert_eq!((&last["granted"], &last["chance"]), (&json!(1), &json!(1.0)));
        server.clock.advance(2 * 24 * 3600);
        let (_, ranking) = server.get("/v1/devices/ranking?days=1").await;
        assert_eq!(ranking["data"], json!([]), "long ago");
        for query in ["days=0", "days=4000", "days=x", "limit=1"] {
            let (status, problem) = server.get(&format!("/v1/devices/ranking?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
