"""Everything a device needs: image loading, the .tflite detector, the manifest. No TensorFlow."""
