import SwiftUI

@main
struct DetectorApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}
