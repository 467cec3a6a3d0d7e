import PhotosUI
import SwiftUI

/// Lets the user pick a photo and shows the objects found in it.
struct ContentView: View {
    @State private var choice: PhotosPickerItem?
    @State private var picture: UIImage?
    @State private var found: [FoundObject] = []
    @State private var message = "Choose a picture."
    @State private var detector: Detector?

    var body: some View {
        VStack {
            PhotosPicker("Picture", selection: $choice, matching: .images)
            Text(message)
            if let picture {
                Image(uiImage: picture).resizable().scaledToFit().overlay { boxes }
            }
            Spacer()
        }
        .padding()
        .onChange(of: choice) { item in
            Task { await show(item) }
        }
    }

    private var boxes: some View {
        GeometryReader { area in
            ForEach(found) { object in
                let (width, height) = (area.size.width, area.size.height)
                Rectangle()
                    .stroke(.yellow, lineWidth: 2)
                    .overlay(alignment: .topLeading) {
                        Text("\(object.label) \(object.score, specifier: "%.2f")")
                            .font(.caption).foregroundColor(.yellow).fixedSize()
                    }
                    .frame(width: object.box.width * width, height: object.box.height * height)
                    .position(x: object.box.midX * width, y: object.box.midY * height)
            }
        }
    }

    @MainActor
    private func show(_ item: PhotosPickerItem?) async {
        do {
            guard let data = try await item?.loadTransferable(type: Data.self),
                let image = UIImage(data: data)?.upright()
            else { return }
            let ready = try detector ?? Detector()
            detector = ready
            let start = Date()
            found = try ready.objects(in: image)
            picture = image
            message = "\(found.count) objects, \(Int(Date().timeIntervalSince(start) * 1000)) ms"
        } catch {
            message = "It didn't work: \(error.localizedDescription)"
        }
    }
}
