"""All that a device needs: images, the .tflite detector, the manifest. No TensorFlow."""
