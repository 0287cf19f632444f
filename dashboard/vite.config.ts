import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// For `npm run dev`: the server whose API the pages speak to.
const server = process.env.PICLOUD_URL ?? 'http://127.0.0.1:7421'

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '~': new URL('src', import.meta.url).pathname } },
  build: {
    outDir: '../src/picloud/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // a strict policy takes no data: URLs of scripts and fonts
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/v1/': { target: server, changeOrigin: true },
      '^/r/': { target: server, changeOrigin: true }, // not the page /rest
    },
  },
})
