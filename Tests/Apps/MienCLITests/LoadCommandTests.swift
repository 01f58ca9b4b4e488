import Testing

@Suite struct LoadCommandTests {
    /// Arguments behind `load`, the exit status, and the first sentence.
    @Test(
        arguments: [
            (["people"], 64, "Give --fill, --rate, --closed or --ramp, or several of them."),
            (["people", "--rate", "70%"], 64, "A --rate in percent needs --ramp, which finds what it is a share of."),
            (["people", "--rate", "5", "--closed", "2"], 64, "Give either --rate or --closed."),
            (["people", "--ramp", "from=5"], 64, "--ramp needs --objective."),
            (
                ["people", "--ramp", "from=5", "--objective", "p99 <= 9ms", "--processes", "2"], 64,
                "A ramp is made by one process: leave --processes out"
            ),
            (["people", "--rate", "5", "--expect-filled"], 64, "--expect-filled needs --faces or --fill"),
            (["people", "--fill", "0"], 64, "--fill must be from 1 to 2147483647."),
            (["people", "--fill", "9", "--fill-batch", "100"], 64, "--fill-batch must be a multiple of 128"),
            (["people", "--rate", "5", "--mix", "look=3"], 64, "'look' is no call of a mix; there are search"),
            (["people", "--rate", "5", "--duration", "9"], 64, "'9' is no time; write 500ms, 10s, 2m or 1h."),
            (["people", "--rate", "5", "--fault", "at 1s kill worker 1"], 64, "--fault needs --cluster"),
            (
                ["people", "--rate", "5", "--cluster", "workers=2", "--fault", "at 1s kill worker 3 for 1s"], 64,
                "the workers are 1 to 2"
            ),
            (
                ["people", "--rate", "5", "--cluster", "workers=2", "--fault", "at 40s kill worker 1 for 1s"], 64,
                "The last fault is at 41.0 seconds, and the load ends at 33.0 seconds."
            ),
            (["merge", "/nonexistent/a.json"], 74, "/nonexistent/a.json cannot be read"),
        ] as [([String], Int32, String)]
    )
    func aBadCommandLineSaysWhy(_ arguments: [String], _ status: Int32, _ sentence: String) async {
        let result = await mienCommand(["load"] + arguments)
        #expect(result.status == status, "\(result.error)")
        #expect(result.error.contains(sentence), "\(result.error)")
        #expect(result.output.isEmpty)
    }
}
