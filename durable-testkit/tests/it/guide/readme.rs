fn an_order_is_charged_once() {
    let bank = durable_testkit::Service::new("bank");
    durable_testkit::Test::of((checkout, charge)).service(&bank).crash_everywhere(async |t| {
        Ok(t.start(checkout(7)).id("order-7").await?.result().await?)
    });
}
