/// What is done to the nodes of a cluster, and when: `at 10s kill worker 2; at 20s start worker 2`.
package struct FaultSchedule: Sendable, Equatable {
    package enum Node: Sendable, Hashable, Codable, CustomStringConvertible {
        case coordinator
        /// From 1.
        case worker(Int)

        package var description: String {
            switch self {
            case .coordinator: "coordinator"
            case .worker(let number): "worker \(number)"
            }
        }
    }

    package enum Action: String, Sendable, Equatable, Codable {
        /// SIGKILL.
        case kill
        /// As it was started first, on the same data.
        case start
        /// SIGSTOP: it hangs, with its connections open.
        case stop
        /// SIGCONT.
        case `continue`
    }

    package struct Step: Sendable, Equatable {
        /// From the start of the load, its warm-up included.
        package var at: Duration
        package var action: Action
        package var node: Node

        package init(at: Duration, action: Action, node: Node) {
            self.at = at
            self.action = action
            self.node = node
        }
    }

    package static let example = "at 10s kill worker 2; at 20s start worker 2; at 30s stop worker 1 for 5s"

    /// Ascending by time.
    package let steps: [Step]

    /// Reads steps separated by `;`. `for` after a kill or a stop stands for the start or the continuation after that
    /// time.
    ///
    /// - Parameter workerCount: of the cluster.
    package init(_ text: String, workerCount: Int) throws(LoadTextError) {
        var steps: [Step] = []
        for part in text.split(separator: ";") {
            let words = part.split(separator: " ").map(String.init)
            if words.isEmpty { continue }
            steps += try Self.steps(words, workerCount: workerCount)
        }
        guard !steps.isEmpty else { throw LoadTextError("the faults are empty; write \(Self.example)") }
        steps = steps.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
        try Self.check(steps)
        self.steps = steps
    }

    private static func steps(_ words: [String], workerCount: Int) throws(LoadTextError) -> [Step] {
        let sentence = words.joined(separator: " ")
        func wrong(_ reason: String) -> LoadTextError {
            LoadTextError("'\(sentence)' is no fault: \(reason); write \(example)")
        }
        guard words.count >= 4, words[0] == "at" else { throw wrong("it begins with 'at', a time, what and whom") }
        let at = try LoadText.duration(words[1])
        guard let action = Action(rawValue: words[2]) else {
            throw wrong("'\(words[2])' is none of kill, start, stop and continue")
        }
        var rest = words[3...]
        let node: Node
        switch rest.removeFirst() {
        case "coordinator": node = .coordinator
        case "worker":
            guard let text = rest.popFirst(), let number = Int(text) else { throw wrong("the worker has no number") }
            guard (1...max(1, workerCount)).contains(number), workerCount > 0 else {
                throw wrong("the workers are 1 to \(workerCount)")
            }
            node = .worker(number)
        case let other: throw wrong("'\(other)' is neither worker nor coordinator")
        }
        var steps = [Step(at: at, action: action, node: node)]
        if !rest.isEmpty {
            guard rest.count == 2, rest.first == "for", let text = rest.last else {
                throw wrong("'\(rest.joined(separator: " "))' is left over")
            }
            guard action == .kill || action == .stop else { throw wrong("only a kill or a stop has an end") }
            let length = try LoadText.duration(text)
            steps.append(Step(at: at + length, action: action == .kill ? .start : .continue, node: node))
        }
        return steps
    }

    private enum State {
        case running
        case stopped
        case dead
    }

    /// Plays the steps through: nobody is killed twice.
    private static func check(_ steps: [Step]) throws(LoadTextError) {
        var states: [Node: State] = [:]
        for step in steps {
            let state = states[step.node] ?? .running
            let next: State? =
                switch (step.action, state) {
                case (.kill, .running), (.kill, .stopped): .dead
                case (.start, .dead): .running
                case (.stop, .running): .stopped
                case (.continue, .stopped): .running
                default: nil
                }
            guard let next else {
                let word =
                    switch state {
                    case .running: "running"
                    case .stopped: "stopped"
                    case .dead: "dead"
                    }
                throw LoadTextError(
                    "'\(step.action.rawValue) \(step.node)' cannot be done at "
                        + "\(FigureText.seconds(step.at / .seconds(1))): it is \(word) then"
                )
            }
            states[step.node] = next
        }
        if let left = states.first(where: { $0.value != .running }) {
            throw LoadTextError(
                "\(left.key) would be down at the end; start or continue it, so that what is stored can be checked"
            )
        }
    }
}
