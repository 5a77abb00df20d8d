//! The tables of scenarios in testing/worlds/scenarios: each line fares as it says.

use gp_worlds::matrix::{self, Line, MATRICES};

#[test]
fn every_scenario_fares_as_its_table_says() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (file, text) in MATRICES {
        for matrix in matrix::read(text) {
            count += matrix.lines.iter().filter(|line| matches!(line, Line::Packet { .. })).count();
            let differences = matrix.differences().unwrap_or_else(|error| panic!("{file}, {}: {error}", matrix.name));
            wrong.extend(differences.into_iter().map(|[packet, expected, found]| {
                format!("{file}, {}: {packet} => {found}\n    expected {expected}", matrix.name)
            }));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count >= 200, "{count} scenarios are left");
}
