/// Every problem of a configuration at once; a node that gets it does not start (exit status 78, `EX_CONFIG`).
package struct NodeConfigurationError: Error, Equatable, CustomStringConvertible {
    /// At least one; in the order of the file's lines, then the environment, then the command line.
    package let problems: [ConfigurationProblem]

    init(problems: [ConfigurationProblem]) {
        precondition(!problems.isEmpty, "an error without a problem")
        self.problems = problems
    }

    /// One line for each problem.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
