//! Plans and lists of many deliveries, as a dispatcher types them.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::Shop;

fn import(shop: &Shop, rows: &str) {
    let text = format!("reference,recipient,phone,address,note\n{rows}");
    std::fs::write(shop.path("orders.csv"), text).unwrap();
    shop.must(&["delivery", "import", "orders.csv"]);
}

fn references(listed: &Value) -> Vec<&str> {
    listed["data"].as_array().unwrap().iter().map(|d| d["reference"].as_str().unwrap()).collect()
}

#[test]
fn a_day_is_planned_from_a_file_and_given_to_another_driver() {
    let shop = Shop::open();
    shop.driver("Ana");
    shop.driver("Leo");
    import(
        &shop,
        "A,Zoe,+34612345671,1 High St,\nB,Bo,+34612345672,2 High St,\nC,Cy,+34612345673,3 Low St,\n",
    );
    shop.must(&["delivery", "cancel", "C"]);
    let file = "reference,driver,expected_at,variance\nA,Ana,+2h,30m\nB,Ana,+3h,\nC,Ana,+3h,\nD,Leo,+1h,\n";
    std::fs::write(shop.path("plan.csv"), file).unwrap();
    let planned = shop.run(&["delivery", "plan-file", "plan.csv"]);
    assert_eq!(planned.status, 3, "{}", planned.stderr);
    assert_eq!((&planned.json["planned"], &planned.json["refused"]), (&json!(2), &json!(2)));
    let of_ana = shop.must(&["delivery", "list", "--driver", "Ana"]).json;
    assert_eq!(references(&of_ana), ["A", "B"]);

    for (wrong, fault) in [
        ("A,Nobody,+1h,\n", "line 2, column driver: no enrolled device"),
        ("A,,+1h,\n", "line 2, column driver: is empty"),
        ("A,Ana,soon,\n", "line 2, column expected_at"),
        ("A,Ana,+1h,30s\n", "line 2, column variance"),
        (",Ana,+1h,\n", "line 2, column reference: is empty"),
    ] {
        std::fs::write(
            shop.path("plan.csv"),
            format!("reference,driver,expected_at,variance\n{wrong}"),
        )
        .unwrap();
        let refused = shop.run(&["delivery", "plan-file", "plan.csv"]);
        assert_eq!(refused.status, 1, "{wrong}");
        assert!(refused.stderr.contains(fault), "{fault} is not in: {}", refused.stderr);
    }

    let given = shop.must(&["delivery", "reassign", "--from", "Ana", "--to", "Leo"]).json;
    assert_eq!((&given["planned"], &given["refused"]), (&json!(2), &json!(0)));
    let of_leo = shop.must(&["delivery", "list", "--driver", "Leo", "--from", "+0s"]).json;
    assert_eq!(references(&of_leo), ["A", "B"]);
    let nothing = shop.run(&["delivery", "reassign", "--from", "Ana", "--to", "Leo"]);
    assert_eq!(nothing.outcome(), "nothing_open");
}

#[test]
fn what_is_listed_as_csv_is_no_formula() {
    let shop = Shop::open();
    import(
        &shop,
        "A,=1+1,+34612345671,\"@home, 1 High St\",-2+cmd\nB,Zoë,+34612345672,2 High St,\n",
    );
    assert_eq!(references(&shop.must(&["delivery", "list", "zoe", "high"]).json), ["B"]);
    assert_eq!(references(&shop.must(&["delivery", "list", "--prefix", "A"]).json), ["A"]);
    assert_eq!(references(&shop.must(&["delivery", "list", "612345672"]).json), [""; 0]);
    let listed = shop.must(&["delivery", "list", "+34 612 34 56 72"]).json;
    assert_eq!(references(&listed), ["B"]);
    let csv = shop.must(&["delivery", "list", "--csv"]).json;
    let text = csv["csv"].as_str().unwrap();
    assert_eq!(csv["rows"], 2);
    assert!(text.contains(",'=1+1,+34612345671,,,\"'@home, 1 High St\",'-2+cmd\n"), "{text}");
}
