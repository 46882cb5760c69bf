use roadcast_cost::*;
fn main() {
    let prices = Prices::ours().unwrap();
    let v: u32 = std::env::args().nth(1).map_or(10_000, |v| v.parse().unwrap());
    let w = Workload { vehicles: v, fleets: 10 };
    for payload in [Payload::Compact, Payload::Json] {
    for way in Way::ALL {
        let t = std::time::Instant::now();
        let m = day::month(&w, way, payload, &|_| {});
        let b = Bill::of(&prices, &m.usage, &fixed(&w));
        println!("== {} {payload:?} traffic {:.2} fixed {:.2} total {:.2} ({:?})", way.name(), b.sum(Kind::Traffic), b.sum(Kind::Fixed), b.total(), t.elapsed());
        for l in &b.lines { println!("   {:?} {:<55} {:>16.1} {:<12} {:>8.2}", l.kind, l.what, l.quantity, l.unit, l.dollars); }
        println!("   {:?} {:?} delivered {:.0} of {:.0}", m.peak, m.sizes, m.delivered.values().sum::<f64>(), w.samples());
    } }
}
