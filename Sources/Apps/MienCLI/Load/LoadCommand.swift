import ArgumentParser

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Fill a collection, put it under load, break its cluster, and check every answer.",
        discussion: """
            EXAMPLE
              mien load people --fill 1000000
              mien load people --rate 500 --duration 60s --report load.html
              mien load people --fill 100000 --cluster workers=3 --rate 200 \\
                --fault 'at 10s kill worker 2 for 5s'
              mien load merge a.json b.json --report both.html

            'mien load run --help' has all options.
            """,
        subcommands: [LoadRunCommand.self, LoadMergeCommand.self],
        defaultSubcommand: LoadRunCommand.self
    )
}
