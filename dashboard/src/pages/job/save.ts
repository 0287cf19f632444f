/** Hand bytes to the browser as a file. */
export function save(bytes: Blob, name: string): void {
  const url = URL.createObjectURL(bytes)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** The bytes of an answer, of no type that a browser would show. */
export const fetched = async (answer: Response): Promise<Blob> => new Blob([await answer.arrayBuffer()], { type: 'application/octet-stream' })
